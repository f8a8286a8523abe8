"""A merchant's order: paid while the shop watches, and hidden from other shops."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest

from tests.support.stack.client import Client, TopLevelErrors, is_genuine, new_key
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.processes import Stack
from tests.support.stack.sandbox import NO_EFFECTS, Json, Sandbox
from tests.support.stack.waiting import equals

pytestmark = pytest.mark.anyio

AMOUNT = 120_000
RETURN_URL = "https://shop.example/thanks?cart=7"


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Client]:
    async with Client(stack.url) as client:
        yield await client.log_in_with_secret("shop", "shop-secret")


@pytest.fixture
async def other_shop(stack: Stack) -> AsyncIterator[Client]:
    """Register a second merchant and log it in."""
    connection = await asyncpg.connect(stack.env["MOBINET_DATABASE_URL"])
    await connection.execute(
        "insert into api_client (client_id, name, role, secret_hash, created_at)"
        " values ('kiosk', 'Kiosk', 'MERCHANT', sha256('kiosk-secret'), now())"
        " on conflict do nothing"
    )
    await connection.close()
    async with Client(stack.url) as client:
        yield await client.log_in_with_secret("kiosk", "kiosk-secret")


async def create_order(shop: Client, **but: object) -> Json:
    given = {
        "idempotencyKey": new_key(),
        "reference": f"DH-{new_key()[:12]}",
        "amount": AMOUNT,
        "currency": "VND",
        "description": "Ốp lưng",
    }
    payload = await shop.execute("CreateOrder", input=given | but)
    assert payload["errors"] == []
    return payload["order"]


async def open_payment(shop: Client, order: Json, method: str) -> Json:
    given = {
        "idempotencyKey": new_key(),
        "orderId": order["id"],
        "amount": order["amount"],
        "method": method,
        "returnUrl": RETURN_URL,
    }
    payload = await shop.execute("PayOrder", input=given)
    assert payload["errors"] == []
    return await shop.payment(payload["payment"]["id"])


async def pay_order(shop: Client, sandbox: Sandbox, order: Json, method: str = "VNPAY_QR") -> Json:
    """Pay an order while the shop watches; return its payment."""
    payment = await open_payment(shop, order, method)
    async with shop.watch(payment["id"]) as events:
        assert (await events.next())["status"] == "PROCESSING"
        await sandbox.pay(qr=payment["qr"]["payload"])
        last = (await events.remaining())[-1]
    assert last["status"] == "SUCCESS"
    return last


def redirect_query(page: httpx.Response) -> dict[str, str]:
    """Return the query with which the page redirects to the shop; empty where it does not."""
    found = re.search(r'http-equiv="refresh" content="\d+;url=([^"]+)"', page.text)
    if found is None:
        return {}
    parts = urlsplit(unescape(found[1]))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == RETURN_URL.partition("?")[0]
    return {name: value for name, (value,) in parse_qs(parts.query).items()}


@pytest.mark.parametrize(("method", "gateway"), [("VNPAY_QR", "vnpay"), ("MOMO", "momo")])
async def test_an_order_is_paid_while_its_shop_watches_and_its_payer_is_sent_back_to_the_shop(
    shop: Client, sandbox: Sandbox, stored: DatabaseView, method: str, gateway: str
) -> None:
    order = await create_order(shop)
    assert (order["status"], order["amount"]) == ("OPEN", AMOUNT)
    payment = await open_payment(shop, order, method)
    assert (payment["status"], payment["contractNumber"]) == ("PROCESSING", None)
    page = await shop.get(payment["confirmationLink"])
    assert payment["qr"]["image"] in page.text
    assert redirect_query(page) == {}, "the page reloads until the payment is final"

    async with shop.watch(payment["id"]) as events:
        assert await events.next() == payment
        await sandbox.pay(qr=payment["qr"]["payload"])
        later = await events.remaining()

    assert [event["status"] for event in later] == ["SUCCESS"]
    paid = await shop.execute("Order", id=order["id"])
    assert paid["status"] == "PAID"
    assert paid["payments"] == [{"id": payment["id"], "status": "SUCCESS", "method": method}]
    page = await shop.get(payment["confirmationLink"])
    assert redirect_query(page) == {
        "cart": "7",
        "order_id": order["reference"],
        "transaction_id": payment["id"],
        "status": "success",
    }
    assert await stored.entries(payment["id"]) == [
        (f"gateway_clearing:{gateway}", "customer_receivable", AMOUNT)
    ]
    assert await sandbox.effects(payment["id"]) == NO_EFFECTS, (
        "neither Revenue nor Debt knows of orders"
    )


async def test_the_receipt_of_an_order_can_be_checked_by_anyone(
    shop: Client, sandbox: Sandbox
) -> None:
    order = await create_order(shop)
    payment = await pay_order(shop, sandbox, order)
    async with Client(shop.url) as anyone:
        answer = await anyone.get(payment["confirmationLink"], accept="application/json")
        jwks = (await anyone.get("/.well-known/jwks.json")).json()
    receipt = answer.json()
    text, proof = receipt["payload"], (receipt["value"], receipt["key_id"], jwks)
    facts = json.loads(text)
    assert (facts["order_id"], facts["amount"], facts["status"]) == (order["id"], AMOUNT, "SUCCESS")
    assert is_genuine(text, *proof)
    assert not is_genuine(text.replace(order["id"], "ORD_OTHER"), *proof)


async def test_the_rest_call_creates_an_order_and_its_payment_together(
    shop: Client, sandbox: Sandbox
) -> None:
    reference, key = f"DH-{new_key()[:12]}", new_key()
    body = {"order_id": reference, "amount": AMOUNT, "method": "momo", "return_url": RETURN_URL}
    answer = await shop.post("/payments", body, **{"idempotency-key": key})
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert (created["order_id"], created["amount"], created["status"]) == (
        reference,
        AMOUNT,
        "processing",
    )

    again = await shop.post("/payments", body, **{"idempotency-key": key})
    assert (again.status_code, again.json()) == (201, created)
    twice = await shop.post("/payments", body)
    assert (twice.status_code, twice.json()["error"]["code"]) == (409, "BILL_LOCKED")

    await sandbox.pay(payment_url=created["payment_url"])
    async with shop.watch(created["transaction_id"]) as events:
        assert (await events.remaining())[-1]["status"] == "SUCCESS"
    page = await shop.get(created["confirmation_link"])
    assert redirect_query(page)["order_id"] == reference
    after = await shop.post("/payments", body)
    assert (after.status_code, after.json()["error"]["code"]) == (409, "BILL_ALREADY_PAID")
    order = await create_order(shop, reference=reference)
    (made,) = (await shop.execute("Order", id=order["id"]))["payments"]
    assert made == {"id": created["transaction_id"], "status": "SUCCESS", "method": "MOMO"}


async def test_another_shop_neither_sees_nor_changes_the_order(
    shop: Client, other_shop: Client, sandbox: Sandbox
) -> None:
    order = await create_order(shop)
    payment = await open_payment(shop, order, "VNPAY_QR")

    for operation, id in (("Order", order["id"]), ("Payment", payment["id"])):
        with pytest.raises(TopLevelErrors) as refused:
            await other_shop.execute(operation, id=id)
        assert refused.value.codes == ["NOT_FOUND"]
    with pytest.raises(AssertionError, match="NOT_FOUND"):
        async with other_shop.watch(payment["id"]) as events:
            await events.next()
    given = {
        "idempotencyKey": new_key(),
        "orderId": order["id"],
        "amount": AMOUNT,
        "method": "MOMO",
    }
    for operation, variables in {
        "PayOrder": {"input": given},
        "VerifyPayment": {"id": payment["id"]},
        "CancelPayment": {"id": payment["id"], "reason": "không phải của tôi"},
    }.items():
        payload = await other_shop.execute(operation, **variables)
        assert [error["code"] for error in payload["errors"]] == ["NOT_FOUND"], operation

    own = await create_order(other_shop, reference=order["reference"], amount=AMOUNT + 1)
    assert own["id"] != order["id"], "each merchant has references of its own"
    assert await shop.payment(payment["id"]) == payment
    await sandbox.pay(qr=payment["qr"]["payload"])
    await equals(lambda: status(shop, order), "PAID")
    assert await status(other_shop, own) == "OPEN"


async def status(shop: Client, order: Json) -> str:
    return (await shop.execute("Order", id=order["id"]))["status"]


async def test_finance_refunds_an_order_and_the_shop_cannot(
    shop: Client, sandbox: Sandbox, stored: DatabaseView, stack: Stack
) -> None:
    order = await create_order(shop)
    payment = await pay_order(shop, sandbox, order, "MOMO")
    given = {
        "idempotencyKey": new_key(),
        "paymentId": payment["id"],
        "amount": AMOUNT,
        "reason": "khách trả hàng",
    }
    with pytest.raises(TopLevelErrors) as refused:
        await shop.execute("RefundPayment", input=given)
    assert refused.value.codes == ["FORBIDDEN"]

    async with Client(stack.url) as finance:
        await finance.log_in("FI001")
        payload = await finance.execute("RefundPayment", input=given)
        assert payload["errors"] == []
        assert (payload["reversal"]["status"], payload["reversal"]["amount"]) == ("DONE", AMOUNT)
        reference = (await finance.office_view(payment["id"]))["gatewayReference"]

    refunds = [
        refund for refund in (await sandbox.truth())["refunds"] if refund["reference"] == reference
    ]
    assert [item["amount"] for item in refunds] == [AMOUNT]
    assert await stored.entries(payment["id"]) == [
        ("gateway_clearing:momo", "customer_receivable", AMOUNT),
        ("customer_receivable", "refunds_payable", AMOUNT),
        ("refunds_payable", "gateway_clearing:momo", AMOUNT),
    ]
    receipt = await shop.get(payment["confirmationLink"], accept="application/json")
    assert receipt.json()["given_back"] == AMOUNT
    assert await status(shop, order) == "PAID", "a new order is needed to pay again"
    assert await sandbox.effects(payment["id"]) == NO_EFFECTS
