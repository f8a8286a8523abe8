"""The staff's wallet: opening a form reserves the limit, and a webhook brings the outcome."""

from __future__ import annotations

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.sandbox import EFFECTS_ONCE, NO_EFFECTS, Sandbox
from tests.support.stack.waiting import equals

pytestmark = pytest.mark.anyio


async def test_a_wallet_payment_reserves_the_limit_and_uses_it_when_it_is_paid(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    bill = customer.bills[0]
    payment = await collector.pay(customer.contract, "FPT_PAY", bill)
    assert payment["status"] == "PROCESSING"
    daily = (await collector.limits())["DAILY"]
    assert (daily["used"], daily["reserved"]) == (0, bill["amount"])

    async with collector.watch(payment["id"]) as events:
        snapshot = await events.next()
        assert snapshot["paymentUrl"] == payment["paymentUrl"]
        await sandbox.pay(payment_url=payment["paymentUrl"])
        later = await events.remaining()

    assert later[-1]["status"] == "SUCCESS"
    assert later[-1]["custody"] is None
    daily = (await collector.limits())["DAILY"]
    assert (daily["used"], daily["reserved"]) == (bill["amount"], 0)
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)


async def test_a_declined_wallet_payment_releases_the_reservation_and_the_bill(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    bill = customer.bills[0]
    payment = await collector.pay(customer.contract, "FPT_PAY", bill)

    async with collector.watch(payment["id"]) as events:
        await events.next()
        await sandbox.pay(payment_url=payment["paymentUrl"], outcome="declined")
        later = await events.remaining()

    assert later[-1]["status"] == "FAILED"
    assert later[-1]["failure"]["code"] == "insufficient_funds"
    assert later[-1]["failure"]["message"]
    daily = (await collector.limits())["DAILY"]
    assert (daily["used"], daily["reserved"]) == (0, 0)
    assert (await collector.bills(customer.contract))[bill["billNumber"]]["lock"] is None
    assert await stored.entries(payment["id"]) == []
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), EFFECTS_ONCE)
    assert await sandbox.effects(payment["id"]) == NO_EFFECTS


async def test_watched_limits_show_each_change(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    bill = customer.bills[0]
    async with collector.subscribe("LimitChanged") as limits:
        first = {limit["kind"]: limit for limit in [await limits.next() for _ in range(3)]}
        assert set(first) == {"PER_TRANSACTION", "DAILY", "CASH_IN_HAND"}

        payment = await collector.pay(customer.contract, "FPT_PAY", bill)
        await limits.until(
            lambda limit: limit["kind"] == "DAILY" and limit["reserved"] == bill["amount"]
        )
        await sandbox.pay(payment_url=payment["paymentUrl"])
        used = await limits.until(lambda limit: limit["kind"] == "DAILY" and limit["used"] > 0)

    assert (used["used"], used["reserved"]) == (bill["amount"], 0)
    assert used["remaining"] == first["DAILY"]["remaining"] - bill["amount"]
