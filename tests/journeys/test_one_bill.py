"""A bill is collected once, whoever tries at the same time."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.sandbox import EFFECTS_ONCE, Sandbox
from tests.support.stack.waiting import equals

pytestmark = pytest.mark.anyio


async def test_of_two_members_of_staff_who_take_cash_for_one_bill_one_succeeds(
    make_collector, customer: Customer, sandbox: Sandbox, stored: DatabaseView
) -> None:
    bill = customer.bills[0]
    staff = [await make_collector(), await make_collector()]

    answers = await asyncio.gather(
        *(member.process(customer.contract, "CASH", bill) for member in staff)
    )

    (won,) = (answer["payment"] for answer in answers if answer["payment"])
    ((refusal,),) = (answer["errors"] for answer in answers if answer["errors"])
    assert won["status"] == "SUCCESS"
    assert refusal["code"] in {"BILL_LOCKED", "BILL_ALREADY_PAID"}
    assert refusal["billNumber"] == bill["billNumber"]
    await equals(lambda: sandbox.effects(won["id"]), EFFECTS_ONCE)
    assert await stored.entries(won["id"]) == [
        ("staff_cash", "customer_receivable", bill["amount"])
    ]


async def test_of_twenty_attempts_at_once_on_one_bill_one_succeeds(
    make_collector, customer: Customer, sandbox: Sandbox, stored: DatabaseView
) -> None:
    bill = customer.bills[0]
    staff = [await make_collector() for _ in range(4)]

    answers = await asyncio.gather(
        *(member.process(customer.contract, "CASH", bill) for member in staff for _ in range(5))
    )

    assert sum(answer["payment"] is not None for answer in answers) == 1
    codes = Counter(error["code"] for answer in answers for error in answer["errors"])
    assert sum(codes.values()) == 19
    assert set(codes) <= {"BILL_LOCKED", "BILL_ALREADY_PAID"}
    assert await stored.payments(customer.contract) == ["SUCCESS"]
    taken = [(await member.limits())["DAILY"] for member in staff]
    assert sorted(limit["used"] for limit in taken) == [0, 0, 0, bill["amount"]]
    (won,) = (answer["payment"] for answer in answers if answer["payment"])
    await equals(lambda: sandbox.effects(won["id"]), EFFECTS_ONCE)


async def test_of_a_qr_and_cash_at_once_one_is_taken(
    make_collector, customer: Customer, stored: DatabaseView
) -> None:
    bill = customer.bills[0]
    first, second = await make_collector(), await make_collector()

    answers = await asyncio.gather(
        first.process(customer.contract, "CASH", bill),
        second.process(customer.contract, "VNPAY_QR", bill),
    )

    assert sum(answer["payment"] is not None for answer in answers) == 1
    assert len(await stored.payments(customer.contract)) == 1


@pytest.mark.parametrize("revenue_knows", [False, True])
async def test_a_paid_bill_refuses_the_whole_payment(
    collector: Client,
    customer: Customer,
    sandbox: Sandbox,
    stored: DatabaseView,
    revenue_knows: bool,
) -> None:
    paid, unpaid = customer.bills[:2]
    first = await collector.pay(customer.contract, "CASH", paid)
    if revenue_knows:
        await equals(lambda: sandbox.effects(first["id"]), EFFECTS_ONCE)

    payload = await collector.process(customer.contract, "CASH", paid, unpaid)

    (refusal,) = payload["errors"]
    assert refusal["code"] == "BILL_ALREADY_PAID"
    assert refusal["billNumber"] == paid["billNumber"]
    assert refusal["paidAt"] == first["completedAt"]
    assert await stored.payments(customer.contract) == ["SUCCESS"]
    second = await collector.pay(customer.contract, "CASH", unpaid)
    assert second["status"] == "SUCCESS"


async def test_a_refusal_names_every_bill_that_cannot_be_taken(
    collector: Client, customer: Customer, sandbox: Sandbox
) -> None:
    paid, held = customer.bills[:2]
    cash = await collector.pay(customer.contract, "CASH", paid)
    qr = await collector.pay(customer.contract, "VNPAY_QR", held)
    await equals(lambda: sandbox.effects(cash["id"]), EFFECTS_ONCE)

    payload = await collector.process(customer.contract, "CASH", paid, held)

    named = {error["billNumber"]: error["code"] for error in payload["errors"]}
    assert named == {paid["billNumber"]: "BILL_ALREADY_PAID", held["billNumber"]: "BILL_LOCKED"}
    (locked,) = (error for error in payload["errors"] if error["code"] == "BILL_LOCKED")
    assert locked["paymentId"] == qr["id"]


async def test_bills_named_in_opposite_orders_at_once_end_without_a_deadlock(
    make_collector, customer: Customer, stored: DatabaseView
) -> None:
    staff = [await make_collector(), await make_collector()]
    orders = (customer.bills, customer.bills[::-1])

    answers = await asyncio.gather(
        *(
            member.process(customer.contract, "CASH", *orders[n % 2])
            for n in range(8)
            for member in staff
        )
    )

    assert sum(answer["payment"] is not None for answer in answers) == 1
    assert await stored.payments(customer.contract) == ["SUCCESS"]
