"""Cards and PayPal: opened, paid at the sandbox, seen on the socket, recorded in Revenue."""

from __future__ import annotations

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.sandbox import EFFECTS_ONCE, Sandbox
from tests.support.stack.waiting import equals

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("method", "gateway"), [("CARD", "stripe"), ("PAYPAL", "paypal")])
async def test_a_payment_page_that_is_paid_completes_the_watched_payment(
    collector: Client,
    sandbox: Sandbox,
    customer: Customer,
    stored: DatabaseView,
    method: str,
    gateway: str,
) -> None:
    bill = customer.bills[0]
    payment = await collector.pay(customer.contract, method, bill)
    assert payment["status"] == "PROCESSING"

    async with collector.watch(payment["id"]) as events:
        snapshot = await events.next()
        assert snapshot["paymentUrl"] == payment["paymentUrl"]
        await sandbox.pay(payment_url=payment["paymentUrl"])
        later = await events.remaining()

    assert later[-1]["status"] == "SUCCESS"
    entries = await stored.entries(payment["id"])
    assert entries == [(f"gateway_clearing:{gateway}", "customer_receivable", bill["amount"])]
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)
