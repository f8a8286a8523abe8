"""A QR or a form that expires unpaid, and money that comes afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer, new_collector, new_customer
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.processes import Process, Stack
from tests.support.stack.sandbox import EFFECTS_ONCE, NO_EFFECTS, Json, Sandbox
from tests.support.stack.waiting import equals, eventually

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class ExpiredPayment:
    collector: Client
    customer: Customer
    payment: Json
    events: list[Json]


@pytest.fixture(scope="module")
async def expired(stack: Stack, short_lived_api: Process) -> AsyncIterator[list[ExpiredPayment]]:
    """Return three payments, watched until they expired: one QR, two forms of the wallet."""

    async def open_and_watch(method: str) -> ExpiredPayment:
        collector = await new_collector(stack)
        customer = await new_customer(collector, bills=1)
        api = collector.at(short_lived_api.url)
        payment = await api.pay(customer.contract, method, customer.bills[0])
        async with collector.watch(payment["id"]) as events:
            return ExpiredPayment(collector, customer, payment, await events.remaining())

    payments = await asyncio.gather(*map(open_and_watch, ("VNPAY_QR", "FPT_PAY", "FPT_PAY")))
    yield payments
    for payment in payments:
        await payment.collector.__aexit__()


@pytest.mark.parametrize("nth", range(3))
async def test_a_watched_payment_that_is_not_paid_in_time_expires(
    expired: list[ExpiredPayment], nth: int
) -> None:
    events = expired[nth].events

    assert [event["status"] for event in events] == ["PROCESSING", "EXPIRED"]
    assert events[-1]["qr"] is None
    assert events[-1]["paymentUrl"] is None


async def test_the_bill_of_a_qr_that_expired_is_free(
    expired: list[ExpiredPayment], sandbox: Sandbox
) -> None:
    collector, customer, payment = expired[0].collector, expired[0].customer, expired[0].payment
    bill = customer.bills[0]

    assert (await collector.bills(customer.contract))[bill["billNumber"]]["lock"] is None
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), EFFECTS_ONCE)
    assert await sandbox.effects(payment["id"]) == NO_EFFECTS


async def test_money_that_comes_late_pays_the_bill_that_is_still_open(
    expired: list[ExpiredPayment], sandbox: Sandbox, stored: DatabaseView
) -> None:
    collector, customer, payment = expired[1].collector, expired[1].customer, expired[1].payment
    bill = customer.bills[0]
    daily = (await collector.limits())["DAILY"]
    assert (daily["used"], daily["reserved"]) == (0, 0)

    await sandbox.pay(payment_url=payment["paymentUrl"])

    late = await eventually(
        lambda: collector.payment(payment["id"]), lambda now: now["status"] == "SUCCESS"
    )
    assert late["version"] > payment["version"]
    daily = (await collector.limits())["DAILY"]
    assert (daily["used"], daily["reserved"]) == (bill["amount"], 0)
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)
    again = await collector.process(customer.contract, "CASH", bill)
    assert [error["code"] for error in again["errors"]] == ["BILL_ALREADY_PAID"]
    assert await stored.cases(payment["id"]) == []


async def test_money_that_comes_late_for_a_bill_paid_otherwise_opens_a_case(
    expired: list[ExpiredPayment], sandbox: Sandbox, stored: DatabaseView
) -> None:
    collector, customer, payment = expired[2].collector, expired[2].customer, expired[2].payment
    bill = customer.bills[0]
    cash = await collector.pay(customer.contract, "CASH", bill)

    await sandbox.pay(payment_url=payment["paymentUrl"])

    await equals(lambda: stored.cases(payment["id"]), [("LATE_MONEY", "OPEN")])
    assert (await collector.payment(payment["id"]))["status"] == "EXPIRED"
    assert await stored.entries(payment["id"]) == [("wallet_clearing", "suspense", bill["amount"])]
    await equals(lambda: sandbox.effects(cash["id"]), EFFECTS_ONCE)
    assert await sandbox.effects(payment["id"]) == NO_EFFECTS
