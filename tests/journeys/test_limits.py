"""Payments at the same time never exceed a limit together."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer, new_staff_id
from tests.support.stack.processes import Stack
from tests.support.stack.sandbox import Json, Sandbox

pytestmark = pytest.mark.anyio

LIMIT_EXCEEDED_MESSAGE = "Vượt quá hạn mức gạch nợ bằng tiền mặt"
USED_TODAY = 1_000_000


async def similar_bills(make_customer, count: int) -> list[tuple[str, Json]]:
    """Return bills so alike that any half of them fits where the largest half fits, and no more."""
    found: list[tuple[str, Json]] = []
    while True:
        customer: Customer = await make_customer(3)
        found += [(customer.contract, bill) for bill in customer.bills]
        found.sort(key=lambda item: item[1]["amount"])
        for window in (found[n : n + count] for n in range(len(found) - count + 1)):
            amounts = [bill["amount"] for _, bill in window]
            fit = count // 2
            if sum(amounts[-fit:]) < sum(amounts[: fit + 1]):
                return window


@pytest.mark.parametrize("method", ["CASH", "FPT_PAY"])
async def test_as_many_payments_at_once_succeed_as_fit_the_limit(
    stack: Stack, sandbox: Sandbox, make_customer, method: str
) -> None:
    bills = await similar_bills(make_customer, 6)
    room = sum(bill["amount"] for _, bill in bills[-3:])
    staff = new_staff_id()
    await sandbox.change_staff(staff, daily_limit=USED_TODAY + room, used_today=USED_TODAY)

    async with Client(stack.url) as collector:
        await collector.log_in(staff)
        answers = await asyncio.gather(
            *(collector.process(contract, method, bill) for contract, bill in bills)
        )
        daily = (await collector.limits())["DAILY"]

    taken = [answer["payment"]["amount"] for answer in answers if answer["payment"]]
    refusals = list(itertools.chain.from_iterable(answer["errors"] for answer in answers))
    assert len(taken) == 3
    assert daily["used"] + daily["reserved"] == USED_TODAY + sum(taken)
    assert len(refusals) == 3
    for refusal in refusals:
        assert refusal["code"] == "PAYMENT_LIMIT_EXCEEDED"
        assert refusal["message"] == LIMIT_EXCEEDED_MESSAGE
        assert refusal["kind"] == "DAILY"
        assert refusal["limit"] == USED_TODAY + room
        assert refusal["requested"] in {bill["amount"] for _, bill in bills}
        assert refusal["remaining"] == refusal["limit"] - refusal["used"] - refusal["reserved"]
        assert refusal["requested"] > refusal["remaining"]
        resets_at = datetime.fromisoformat(refusal["resetsAt"])
        assert (resets_at.hour, resets_at.minute) == (17, 0), "midnight in Vietnam, as UTC"


async def test_a_payment_above_the_limit_per_transaction_is_refused(
    stack: Stack, sandbox: Sandbox, customer: Customer
) -> None:
    amount = customer.bills[0]["amount"]
    staff = new_staff_id()
    await sandbox.change_staff(staff, per_transaction_limit=amount - 1)

    async with Client(stack.url) as collector:
        await collector.log_in(staff)
        preview = await collector.execute("LimitPreview", method="CASH", amount=amount)
        payload = await collector.process(customer.contract, "CASH", customer.bills[0])
        qr = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[0])

    assert preview["allowed"] is False
    (refusal,) = payload["errors"]
    assert refusal["code"] == "PAYMENT_LIMIT_EXCEEDED"
    assert refusal["kind"] == "PER_TRANSACTION"
    assert (refusal["limit"], refusal["requested"]) == (amount - 1, amount)
    assert (refusal["used"], refusal["reserved"], refusal["resetsAt"]) == (0, 0, None)
    assert refusal["message"] == LIMIT_EXCEEDED_MESSAGE
    assert qr["status"] == "PROCESSING"


async def test_a_declined_wallet_payment_releases_its_part_of_the_limit(
    stack: Stack, sandbox: Sandbox, customer: Customer
) -> None:
    first, second = customer.bills[:2]
    staff = new_staff_id()
    room = max(first["amount"], second["amount"])
    await sandbox.change_staff(staff, daily_limit=USED_TODAY + room, used_today=USED_TODAY)

    async with Client(stack.url) as collector:
        await collector.log_in(staff)
        wallet = await collector.pay(customer.contract, "FPT_PAY", first)
        full = await collector.process(customer.contract, "CASH", second)
        assert [error["code"] for error in full["errors"]] == ["PAYMENT_LIMIT_EXCEEDED"]

        await sandbox.pay(payment_url=wallet["paymentUrl"], outcome="declined")
        cash = await collector.pay(customer.contract, "CASH", second)

    assert cash["status"] == "SUCCESS"
