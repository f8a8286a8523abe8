"""MoMo, the customer's wallet: paid by page or QR, found by inquiry where its call is lost."""

from __future__ import annotations

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.sandbox import EFFECTS_ONCE, NO_EFFECTS, Sandbox
from tests.support.stack.waiting import equals, eventually

pytestmark = pytest.mark.anyio


async def test_a_watched_momo_payment_is_completed(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    bill = customer.bills[0]
    before = await collector.limits()
    payment = await collector.pay(customer.contract, "MOMO", bill)
    assert payment["status"] == "PROCESSING"
    assert payment["qr"]["image"].startswith("data:image/svg+xml;base64,")

    async with collector.watch(payment["id"]) as events:
        assert await events.next() == payment
        result = await sandbox.pay(payment_url=payment["paymentUrl"])
        assert result["webhooks"] == [{"status_code": 204, "body": ""}]
        later = await events.remaining()

    assert [event["status"] for event in later] == ["SUCCESS"]
    assert await stored.entries(payment["id"]) == [
        ("gateway_clearing:momo", "customer_receivable", bill["amount"])
    ]
    assert await collector.limits() == before, "MoMo is not the staff's own money"
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)


async def test_an_inquiry_finds_a_payment_whose_call_was_lost(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    payment = await collector.pay(customer.contract, "MOMO", customer.bills[0])
    await sandbox.pay(qr=payment["qr"]["payload"], drop_webhook=True)

    verified = await collector.execute("VerifyPayment", id=payment["id"])

    assert verified["payment"]["status"] == "SUCCESS"
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)


async def test_a_payment_that_the_customer_declines_frees_the_bill(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    bill = customer.bills[0]
    payment = await collector.pay(customer.contract, "MOMO", bill)
    await sandbox.pay(qr=payment["qr"]["payload"], outcome="declined")

    failed = await eventually(
        lambda: collector.payment(payment["id"]), lambda now: now["status"] == "FAILED"
    )
    assert failed["failure"]["code"] == "1006"
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), EFFECTS_ONCE)
    assert await sandbox.effects(payment["id"]) == NO_EFFECTS
