"""A shop sells something: its order is paid while it watches, its payer goes back to it, and no other shop sees it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from html import unescape
from urllib.parse import parse_qs, urlsplit

import asyncpg
import httpx
import pytest

from tests.support.stack.books import Books
from tests.support.stack.client import Client, Refused, a_key, is_genuine
from tests.support.stack.outside import NEVER, Json, Sandbox, equals
from tests.support.stack.processes import Stack

pytestmark = pytest.mark.anyio

AMOUNT = 120_000
SHOP = "https://shop.example/thanks?cart=7"


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Client]:
    async with Client(stack.url) as client:
        yield await client.log_in_as_a_program("shop", "shop-secret")


@pytest.fixture
async def other_shop(stack: Stack) -> AsyncIterator[Client]:
    """Whoever runs the house has let a second merchant in."""
    connection = await asyncpg.connect(stack.env["MOBINET_DATABASE_URL"])
    await connection.execute(
        "insert into api_client (client_id, name, role, secret_hash, created_at)"
        " values ('kiosk', 'Kiosk', 'MERCHANT', sha256('kiosk-secret'), now()) on conflict do nothing"
    )
    await connection.close()
    async with Client(stack.url) as client:
        yield await client.log_in_as_a_program("kiosk", "kiosk-secret")


async def ordered(shop: Client, **but: object) -> Json:
    given = {
        "idempotencyKey": a_key(),
        "reference": f"DH-{a_key()[:12]}",
        "amount": AMOUNT,
        "currency": "VND",
        "description": "Ốp lưng",
    }
    payload = await shop.ask("CreateOrder", input=given | but)
    assert payload["errors"] == []
    return payload["order"]


async def opened(shop: Client, order: Json, method: str) -> Json:
    given = {
        "idempotencyKey": a_key(),
        "orderId": order["id"],
        "amount": order["amount"],
        "method": method,
        "returnUrl": SHOP,
    }
    payload = await shop.ask("PayOrder", input=given)
    assert payload["errors"] == []
    return await shop.payment(payload["payment"]["id"])


async def paid(shop: Client, sandbox: Sandbox, order: Json, method: str = "VNPAY_QR") -> Json:
    """Return an order's payment, which its payer has made while the shop watched."""
    payment = await opened(shop, order, method)
    async with shop.watch(payment["id"]) as events:
        assert (await events.next())["status"] == "PROCESSING"
        await sandbox.pays(qr=payment["qr"]["payload"])
        last = (await events.to_the_end())[-1]
    assert last["status"] == "SUCCESS"
    return last


def sends_on(page: httpx.Response) -> dict[str, str]:
    """Return where the result page sends its reader, as the query that it adds; empty where it stays."""
    found = re.search(r'http-equiv="refresh" content="\d+;url=([^"]+)"', page.text)
    if found is None:
        return {}
    parts = urlsplit(unescape(found[1]))
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == SHOP.partition("?")[0]
    return {name: value for name, (value,) in parse_qs(parts.query).items()}


@pytest.mark.parametrize(("method", "gateway"), [("VNPAY_QR", "vnpay"), ("MOMO", "momo")])
async def test_an_order_turns_green_while_its_shop_watches_and_its_payer_goes_back_to_the_shop(
    shop: Client, sandbox: Sandbox, books: Books, method: str, gateway: str
) -> None:
    order = await ordered(shop)
    assert (order["status"], order["amount"]) == ("OPEN", AMOUNT)
    payment = await opened(shop, order, method)
    assert (payment["status"], payment["contractNumber"]) == ("PROCESSING", None)
    page = await shop.get(payment["confirmationLink"])
    assert payment["qr"]["image"] in page.text
    assert sends_on(page) == {}, "it looks again until it is paid"

    async with shop.watch(payment["id"]) as events:
        assert await events.next() == payment
        await sandbox.pays(qr=payment["qr"]["payload"])
        later = await events.to_the_end()

    assert [event["status"] for event in later] == ["SUCCESS"]
    told = await shop.ask("Order", id=order["id"])
    assert told["status"] == "PAID"
    assert told["payments"] == [{"id": payment["id"], "status": "SUCCESS", "method": method}]
    page = await shop.get(payment["confirmationLink"])
    assert sends_on(page) == {
        "cart": "7",
        "order_id": order["reference"],
        "transaction_id": payment["id"],
        "status": "success",
    }
    assert await books.entries(payment["id"]) == [
        (f"gateway_clearing:{gateway}", "customer_receivable", AMOUNT)
    ]
    assert await sandbox.effects(payment["id"]) == NEVER, "neither Revenue nor Debt knows of orders"


async def test_the_receipt_of_an_order_can_be_checked_by_anyone(
    shop: Client, sandbox: Sandbox
) -> None:
    order = await ordered(shop)
    payment = await paid(shop, sandbox, order)
    async with Client(shop.url) as stranger:
        answer = await stranger.get(payment["confirmationLink"], accept="application/json")
        jwks = (await stranger.get("/.well-known/jwks.json")).json()
    receipt = answer.json()
    text, proof = receipt["payload"], (receipt["value"], receipt["key_id"], jwks)
    facts = json.loads(text)
    assert (facts["order_id"], facts["amount"], facts["status"]) == (order["id"], AMOUNT, "SUCCESS")
    assert is_genuine(text, *proof)
    assert not is_genuine(text.replace(order["id"], "ORD_OTHER"), *proof)


async def test_the_documented_call_makes_an_order_and_its_payment_at_once(
    shop: Client, sandbox: Sandbox
) -> None:
    reference, key = f"DH-{a_key()[:12]}", a_key()
    body = {"order_id": reference, "amount": AMOUNT, "method": "momo", "return_url": SHOP}
    answer = await shop.post("/payments", body, **{"idempotency-key": key})
    assert answer.status_code == 201, answer.text
    told = answer.json()
    assert (told["order_id"], told["amount"], told["status"]) == (reference, AMOUNT, "processing")

    again = await shop.post("/payments", body, **{"idempotency-key": key})
    assert (again.status_code, again.json()) == (201, told)
    twice = await shop.post("/payments", body)
    assert (twice.status_code, twice.json()["error"]["code"]) == (409, "BILL_LOCKED")

    await sandbox.pays(payment_url=told["payment_url"])
    async with shop.watch(told["transaction_id"]) as events:
        assert (await events.to_the_end())[-1]["status"] == "SUCCESS"
    page = await shop.get(told["confirmation_link"])
    assert sends_on(page)["order_id"] == reference
    after = await shop.post("/payments", body)
    assert (after.status_code, after.json()["error"]["code"]) == (409, "BILL_ALREADY_PAID")
    order = await ordered(shop, reference=reference)
    (made,) = (await shop.ask("Order", id=order["id"]))["payments"]
    assert made == {"id": told["transaction_id"], "status": "SUCCESS", "method": "MOMO"}


async def test_a_second_shop_sees_nothing_of_it_and_can_do_nothing_to_it(
    shop: Client, other_shop: Client, sandbox: Sandbox
) -> None:
    order = await ordered(shop)
    payment = await opened(shop, order, "VNPAY_QR")

    for operation, id in (("Order", order["id"]), ("Payment", payment["id"])):
        with pytest.raises(Refused) as refused:
            await other_shop.ask(operation, id=id)
        assert refused.value.codes == ["NOT_FOUND"]
    with pytest.raises(AssertionError, match="NOT_FOUND"):
        async with other_shop.watch(payment["id"]) as events:
            await events.next()
    given = {"idempotencyKey": a_key(), "orderId": order["id"], "amount": AMOUNT, "method": "MOMO"}
    for operation, variables in {
        "PayOrder": {"input": given},
        "VerifyPayment": {"id": payment["id"]},
        "CancelPayment": {"id": payment["id"], "reason": "không phải của tôi"},
    }.items():
        payload = await other_shop.ask(operation, **variables)
        assert [error["code"] for error in payload["errors"]] == ["NOT_FOUND"], operation

    mine = await ordered(other_shop, reference=order["reference"], amount=AMOUNT + 1)
    assert mine["id"] != order["id"], "a reference is a merchant's own"
    assert await shop.payment(payment["id"]) == payment
    await sandbox.pays(qr=payment["qr"]["payload"])
    await equals(lambda: status(shop, order), "PAID")
    assert await status(other_shop, mine) == "OPEN"


async def status(shop: Client, order: Json) -> str:
    return (await shop.ask("Order", id=order["id"]))["status"]


async def test_what_an_order_was_paid_with_is_given_back_by_finance_and_by_nobody_of_the_shop(
    shop: Client, sandbox: Sandbox, books: Books, stack: Stack
) -> None:
    order = await ordered(shop)
    payment = await paid(shop, sandbox, order, "MOMO")
    given = {
        "idempotencyKey": a_key(),
        "paymentId": payment["id"],
        "amount": AMOUNT,
        "reason": "khách trả hàng",
    }
    with pytest.raises(Refused) as refused:
        await shop.ask("RefundPayment", input=given)
    assert refused.value.codes == ["FORBIDDEN"]

    async with Client(stack.url) as finance:
        await finance.log_in("FI001")
        payload = await finance.ask("RefundPayment", input=given)
        assert payload["errors"] == []
        assert (payload["reversal"]["status"], payload["reversal"]["amount"]) == ("DONE", AMOUNT)
        reference = (await finance.office_view(payment["id"]))["gatewayReference"]

    back = [
        refund for refund in (await sandbox.truth())["refunds"] if refund["reference"] == reference
    ]
    assert [item["amount"] for item in back] == [AMOUNT]
    assert await books.entries(payment["id"]) == [
        ("gateway_clearing:momo", "customer_receivable", AMOUNT),
        ("customer_receivable", "refunds_payable", AMOUNT),
        ("refunds_payable", "gateway_clearing:momo", AMOUNT),
    ]
    receipt = await shop.get(payment["confirmationLink"], accept="application/json")
    assert receipt.json()["given_back"] == AMOUNT
    assert await status(shop, order) == "PAID", "a new order is needed to pay again"
    assert await sandbox.effects(payment["id"]) == NEVER
