"""Cards and PayPal over the whole stack: opened, paid at the sandbox, green on the socket, told to Revenue."""

from __future__ import annotations

import pytest

from tests.support.stack.books import Books
from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.outside import ONCE, Sandbox, equals

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("method", "gateway"), [("CARD", "stripe"), ("PAYPAL", "paypal")])
async def test_a_page_that_is_paid_turns_green_while_it_is_watched(
    collector: Client,
    sandbox: Sandbox,
    customer: Customer,
    books: Books,
    method: str,
    gateway: str,
) -> None:
    bill = customer.bills[0]
    payment = await collector.pay(customer.contract, method, bill)
    assert payment["status"] == "PROCESSING"

    async with collector.watch(payment["id"]) as events:
        snapshot = await events.next()
        assert snapshot["paymentUrl"] == payment["paymentUrl"]
        await sandbox.pays(payment_url=payment["paymentUrl"])
        later = await events.to_the_end()

    assert later[-1]["status"] == "SUCCESS"
    entries = await books.entries(payment["id"])
    assert entries == [(f"gateway_clearing:{gateway}", "customer_receivable", bill["amount"])]
    await equals(lambda: sandbox.effects(payment["id"]), ONCE)
