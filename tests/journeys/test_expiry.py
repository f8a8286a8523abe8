"""A QR or a form that nobody pays in time, and money that comes after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from tests.support.stack.books import Books
from tests.support.stack.client import Client
from tests.support.stack.customers import Customer, new_collector, new_customer
from tests.support.stack.outside import NEVER, ONCE, Json, Sandbox, equals, eventually
from tests.support.stack.processes import Process, Stack

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, slots=True)
class Ended:
    collector: Client
    customer: Customer
    payment: Json
    seen: list[Json]


@pytest.fixture(scope="module")
async def ended(stack: Stack, hasty: Process) -> AsyncIterator[list[Ended]]:
    """Three payments whose ends were watched at the same time: one QR, two forms of the wallet."""

    async def open_and_watch(method: str) -> Ended:
        collector = await new_collector(stack)
        customer = await new_customer(collector, bills=1)
        api = collector.at(hasty.url)
        payment = await api.pay(customer.contract, method, customer.bills[0])
        async with collector.watch(payment["id"]) as events:
            return Ended(collector, customer, payment, await events.to_the_end())

    three = await asyncio.gather(*map(open_and_watch, ("VNPAY_QR", "FPT_PAY", "FPT_PAY")))
    yield three
    for item in three:
        await item.collector.__aexit__()


@pytest.mark.parametrize("nth", range(3))
async def test_what_nobody_pays_in_time_expires_before_the_eyes(
    ended: list[Ended], nth: int
) -> None:
    seen = ended[nth].seen

    assert [event["status"] for event in seen] == ["PROCESSING", "EXPIRED"]
    assert seen[-1]["qr"] is None
    assert seen[-1]["paymentUrl"] is None


async def test_the_bill_of_a_qr_that_expired_is_free(ended: list[Ended], sandbox: Sandbox) -> None:
    collector, customer, payment = ended[0].collector, ended[0].customer, ended[0].payment
    bill = customer.bills[0]

    assert (await collector.bills(customer.contract))[bill["billNumber"]]["lock"] is None
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), ONCE)
    assert await sandbox.effects(payment["id"]) == NEVER


async def test_money_that_comes_late_pays_the_bill_that_is_still_open(
    ended: list[Ended], sandbox: Sandbox, books: Books
) -> None:
    collector, customer, payment = ended[1].collector, ended[1].customer, ended[1].payment
    bill = customer.bills[0]
    daily = (await collector.limits())["DAILY"]
    assert (daily["used"], daily["reserved"]) == (0, 0)

    await sandbox.pays(payment_url=payment["paymentUrl"])

    late = await eventually(
        lambda: collector.payment(payment["id"]), lambda now: now["status"] == "SUCCESS"
    )
    assert late["version"] > payment["version"]
    daily = (await collector.limits())["DAILY"]
    assert (daily["used"], daily["reserved"]) == (bill["amount"], 0)
    await equals(lambda: sandbox.effects(payment["id"]), ONCE)
    again = await collector.process(customer.contract, "CASH", bill)
    assert [error["code"] for error in again["errors"]] == ["BILL_ALREADY_PAID"]
    assert await books.cases(payment["id"]) == []


async def test_money_that_comes_late_for_a_bill_paid_otherwise_waits_for_people(
    ended: list[Ended], sandbox: Sandbox, books: Books
) -> None:
    collector, customer, payment = ended[2].collector, ended[2].customer, ended[2].payment
    bill = customer.bills[0]
    cash = await collector.pay(customer.contract, "CASH", bill)

    await sandbox.pays(payment_url=payment["paymentUrl"])

    await equals(lambda: books.cases(payment["id"]), [("LATE_MONEY", "OPEN")])
    assert (await collector.payment(payment["id"]))["status"] == "EXPIRED"
    assert await books.entries(payment["id"]) == [("wallet_clearing", "suspense", bill["amount"])]
    await equals(lambda: sandbox.effects(cash["id"]), ONCE)
    assert await sandbox.effects(payment["id"]) == NEVER
