"""A QR, paid while it is watched: one process gets the webhook, another holds the socket."""

from __future__ import annotations

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.processes import Process
from tests.support.stack.sandbox import EFFECTS_ONCE, Sandbox
from tests.support.stack.waiting import equals, eventually

pytestmark = pytest.mark.anyio


async def test_a_paid_qr_is_seen_on_a_socket_of_another_process(
    collector: Client, sandbox: Sandbox, customer: Customer, second_api: Process
) -> None:
    payment = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[0])
    assert payment["status"] == "PROCESSING"
    assert payment["qr"]["image"].startswith("data:image/svg+xml;base64,")

    async with collector.at(second_api.url).watch(payment["id"]) as events:
        snapshot = await events.next()
        assert snapshot == payment
        result = await sandbox.pay(qr=payment["qr"]["payload"])
        assert [answer["body"]["RspCode"] for answer in result["webhooks"]] == ["00"]
        later = await events.remaining()

    versions = [event["version"] for event in (snapshot, *later)]
    assert versions == sorted(set(versions))
    assert [event["status"] for event in later] == ["SUCCESS"]
    assert later[-1]["qr"] is None
    assert later[-1]["custody"] is None
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)


async def test_a_qr_counts_against_no_limit_of_the_staff(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    before = await collector.limits()
    payment = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[0])
    assert await collector.limits() == before

    await sandbox.pay(qr=payment["qr"]["payload"])

    await eventually(
        lambda: collector.payment(payment["id"]), lambda now: now["status"] == "SUCCESS"
    )
    assert await collector.limits() == before


async def test_watching_a_finished_payment_sends_it_once_and_completes(
    collector: Client, customer: Customer
) -> None:
    payment = await collector.pay(customer.contract, "CASH", customer.bills[0])

    async with collector.watch(payment["id"]) as events:
        seen = await events.remaining()

    assert [event["status"] for event in seen] == ["SUCCESS"]


async def test_an_open_qr_blocks_cash_until_it_is_cancelled(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    bill = customer.bills[0]
    qr = await collector.pay(customer.contract, "VNPAY_QR", bill)

    payload = await collector.process(customer.contract, "CASH", bill)
    (refusal,) = payload["errors"]
    assert payload["payment"] is None
    assert refusal["code"] == "BILL_LOCKED"
    assert refusal["billNumber"] == bill["billNumber"]
    assert refusal["paymentId"] == qr["id"]
    assert refusal["method"] == "VNPAY_QR"
    assert refusal["heldBy"] == collector.session["staff"]["name"]
    assert refusal["until"] == qr["expiresAt"]
    lock = (await collector.bills(customer.contract))[bill["billNumber"]]["lock"]
    assert lock["paymentId"] == qr["id"]

    cancelled = await collector.execute("CancelPayment", id=qr["id"], reason="Khách trả tiền mặt")
    assert cancelled["errors"] == []
    assert cancelled["payment"]["status"] == "CANCELLED"
    cash = await collector.pay(customer.contract, "CASH", bill)
    assert cash["status"] == "SUCCESS"
    await equals(lambda: sandbox.effects(cash["id"]), EFFECTS_ONCE)
