"""A QR or a form that nobody pays in time, and money that comes after it."""

from __future__ import annotations

import pytest

from tests.journeys.client import NEVER, ONCE, Client, Sandbox, equals, eventually
from tests.journeys.conftest import Books, Customer
from tests.journeys.stack import Process

pytestmark = pytest.mark.anyio


async def expired(collector: Client, hasty: Process, customer: Customer, method: str):
    """A payment whose end was watched, on a socket of the API that nobody hurries."""
    payment = await collector.at(hasty.url).pay(customer.contract, method, customer.bills[0])
    async with collector.watch(payment["id"]) as events:
        seen = await events.to_the_end()
    assert [event["status"] for event in seen] == ["PROCESSING", "EXPIRED"]
    assert seen[-1]["qr"] is None
    assert seen[-1]["paymentUrl"] is None
    return payment


async def test_a_qr_that_nobody_pays_expires_before_the_eyes_and_frees_its_bill(
    collector: Client, sandbox: Sandbox, customer: Customer, hasty: Process
) -> None:
    bill = customer.bills[0]
    payment = await expired(collector, hasty, customer, "VNPAY_QR")

    assert (await collector.bills(customer.contract))[bill["billNumber"]]["lock"] is None
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), ONCE)
    assert await sandbox.effects(payment["id"]) == NEVER


async def test_money_that_comes_late_pays_the_bill_that_is_still_open(
    collector: Client, sandbox: Sandbox, customer: Customer, hasty: Process, books: Books
) -> None:
    bill = customer.bills[0]
    payment = await expired(collector, hasty, customer, "FPT_PAY")
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
    collector: Client, sandbox: Sandbox, customer: Customer, hasty: Process, books: Books
) -> None:
    bill = customer.bills[0]
    payment = await expired(collector, hasty, customer, "FPT_PAY")
    cash = await collector.pay(customer.contract, "CASH", bill)

    await sandbox.pays(payment_url=payment["paymentUrl"])

    await equals(lambda: books.cases(payment["id"]), [("LATE_MONEY", "OPEN")])
    assert (await collector.payment(payment["id"]))["status"] == "EXPIRED"
    assert await books.entries(payment["id"]) == [("wallet_clearing", "suspense", bill["amount"])]
    await equals(lambda: sandbox.effects(cash["id"]), ONCE)
    assert await sandbox.effects(payment["id"]) == NEVER
