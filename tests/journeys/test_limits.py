"""A limit that payments race for is passed by none of them."""

from __future__ import annotations

import asyncio
import itertools
from datetime import datetime

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import COLLECTORS, Customer
from tests.support.stack.outside import Json, Sandbox
from tests.support.stack.processes import Stack

pytestmark = pytest.mark.anyio

VIETNAMESE = "Vượt quá hạn mức gạch nợ bằng tiền mặt"
USED = 1_000_000


async def alike(customers, count: int) -> list[tuple[str, Json]]:
    """Bills of nearly one amount, so that any `count // 2` fit where the largest ones do, and no more."""
    found: list[tuple[str, Json]] = []
    while True:
        customer: Customer = await customers(3)
        found += [(customer.contract, bill) for bill in customer.bills]
        found.sort(key=lambda item: item[1]["amount"])
        for window in (found[n : n + count] for n in range(len(found) - count + 1)):
            amounts = [bill["amount"] for _, bill in window]
            fit = count // 2
            if sum(amounts[-fit:]) < sum(amounts[: fit + 1]):
                return window


@pytest.mark.parametrize("method", ["CASH", "FPT_PAY"])
async def test_as_many_succeed_as_fit_however_they_race(
    stack: Stack, sandbox: Sandbox, customers, method: str
) -> None:
    bills = await alike(customers, 6)
    room = sum(bill["amount"] for _, bill in bills[-3:])
    staff = f"NV{next(COLLECTORS)}"
    await sandbox.staff(staff, daily_limit=USED + room, used_today=USED)

    async with Client(stack.url) as collector:
        await collector.log_in(staff)
        answers = await asyncio.gather(
            *(collector.process(contract, method, bill) for contract, bill in bills)
        )
        daily = (await collector.limits())["DAILY"]

    taken = [answer["payment"]["amount"] for answer in answers if answer["payment"]]
    refusals = list(itertools.chain.from_iterable(answer["errors"] for answer in answers))
    assert len(taken) == 3
    assert daily["used"] + daily["reserved"] == USED + sum(taken)
    assert len(refusals) == 3
    for refusal in refusals:
        assert refusal["code"] == "PAYMENT_LIMIT_EXCEEDED"
        assert refusal["message"] == VIETNAMESE
        assert refusal["kind"] == "DAILY"
        assert refusal["limit"] == USED + room
        assert refusal["requested"] in {bill["amount"] for _, bill in bills}
        assert refusal["remaining"] == refusal["limit"] - refusal["used"] - refusal["reserved"]
        assert refusal["requested"] > refusal["remaining"]
        resets_at = datetime.fromisoformat(refusal["resetsAt"])
        assert (resets_at.hour, resets_at.minute) == (17, 0), "midnight in Vietnam, as UTC"


async def test_one_payment_may_not_pass_the_limit_of_a_transaction(
    stack: Stack, sandbox: Sandbox, customer: Customer
) -> None:
    amount = customer.bills[0]["amount"]
    staff = f"NV{next(COLLECTORS)}"
    await sandbox.staff(staff, per_transaction_limit=amount - 1)

    async with Client(stack.url) as collector:
        await collector.log_in(staff)
        preview = await collector.ask("LimitPreview", method="CASH", amount=amount)
        payload = await collector.process(customer.contract, "CASH", customer.bills[0])
        qr = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[0])

    assert preview["allowed"] is False
    (refusal,) = payload["errors"]
    assert refusal["code"] == "PAYMENT_LIMIT_EXCEEDED"
    assert refusal["kind"] == "PER_TRANSACTION"
    assert (refusal["limit"], refusal["requested"]) == (amount - 1, amount)
    assert (refusal["used"], refusal["reserved"], refusal["resetsAt"]) == (0, 0, None)
    assert refusal["message"] == VIETNAMESE
    assert qr["status"] == "PROCESSING"


async def test_a_declined_wallet_payment_makes_room_again(
    stack: Stack, sandbox: Sandbox, customer: Customer
) -> None:
    one, other = customer.bills[:2]
    staff = f"NV{next(COLLECTORS)}"
    room = max(one["amount"], other["amount"])
    await sandbox.staff(staff, daily_limit=USED + room, used_today=USED)

    async with Client(stack.url) as collector:
        await collector.log_in(staff)
        wallet = await collector.pay(customer.contract, "FPT_PAY", one)
        full = await collector.process(customer.contract, "CASH", other)
        assert [error["code"] for error in full["errors"]] == ["PAYMENT_LIMIT_EXCEEDED"]

        await sandbox.pays(payment_url=wallet["paymentUrl"], outcome="declined")
        cash = await collector.pay(customer.contract, "CASH", other)

    assert cash["status"] == "SUCCESS"
