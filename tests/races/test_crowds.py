"""Many requests at once, each on its own connection: as many succeed as fit, and none deadlock."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Iterable
from typing import Any

import pytest

from db import engine
from db import payments as payments_db
from domain.attempts import AttemptStatus
from domain.bills import BillAlreadyPaid, BillLocked
from domain.hand_ins import SubmitHandIn
from domain.limits import LimitExceeded
from domain.methods import PaymentMethod
from domain.payment_evidence import EvidenceSource, GatewayResult
from domain.payment_request import NotificationChannels, ProcessPayment
from domain.payments import Payment
from domain.refusals import Refusal, Refused
from mobinet.settings import Settings
from resolvers import hand_ins, payment_inquiry, payments, reversals
from resolvers.context import Context
from tests.races.evidence import apply_evidence, violations
from tests.support.backend import Backend
from tests.support.builders import bill_item
from tests.support.proof import REPEAT, dice
from tests.support.running_api import Sandbox, key

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

CROWD = 50
REVERSALS = ("void", "refund")
MAX_CONCURRENT = 16  # requests; the outer systems are slow, and the database queues by itself


@pytest.fixture
async def crowd(backend: Backend, api_settings: Settings) -> Backend:
    """Return a backend with as many database connections as requests."""
    assert api_settings.database_url is not None
    await engine.disconnect()
    await engine.connect(api_settings.database_url.get_secret_value(), pool_size=CROWD)
    return backend


async def all_of(requests: Iterable[Awaitable[Any]]) -> list[Any]:
    """Await all requests, at most MAX_CONCURRENT at once; return each result or exception."""
    free = asyncio.Semaphore(MAX_CONCURRENT)

    async def limited(request: Awaitable[Any]) -> Any:
        async with free:
            return await request

    return await asyncio.gather(*(limited(request) for request in requests), return_exceptions=True)


def error_types(results: list[Any]) -> set[type]:
    """Return the types of all refusals and faults."""
    return {
        type(error)
        for result in results
        if isinstance(result, Exception)
        for error in (result.refusals if isinstance(result, Refused) else [result])
    }


async def test_of_fifty_members_of_staff_who_take_one_bill_one_succeeds(crowd: Backend) -> None:
    contract = f"SGFDN{next(crowd.contracts)}"
    item = await crowd.owed(contract)
    staff = [await crowd.collector() for _ in range(CROWD)]
    done = await all_of(
        (
            crowd.new_payment(
                by,
                cash_or_qr(nth),
                contract_number=contract,
                items=(item,),
            )
            for nth, by in enumerate(staff)
        ),
    )
    assert len([result for result in done if isinstance(result, Payment)]) == 1
    assert error_types(done) <= {BillLocked, BillAlreadyPaid}
    (row,) = await engine.fetch(
        "select count(*) filter (where locked) as locked, count(*) as all from payment_item"
        " where contract_number = $1",
        contract,
    )
    assert tuple(row.values()) == (1, 1), "refused requests leave no row"
    assert await violations(crowd) == []


def cash_or_qr(nth: int) -> PaymentMethod:
    return PaymentMethod.CASH if nth % 2 else PaymentMethod.VNPAY_QR


async def test_of_a_hundred_payments_near_a_limit_as_many_succeed_as_fit(
    crowd: Backend, sandbox: Sandbox
) -> None:
    staff_id = f"NV{next(crowd.collectors)}"
    limit = 20_000_000
    sandbox.change_staff(staff_id, daily_limit=limit, per_transaction_limit=limit, used_today=0)
    by = await crowd.as_staff(staff_id)
    contracts = [f"SGFDN{next(crowd.contracts)}" for _ in range(100)]
    items = [await crowd.owed(contract) for contract in contracts]
    done = await all_of(
        (
            crowd.new_payment(by, PaymentMethod.CASH, contract_number=contract, items=(item,))
            for contract, item in zip(contracts, items, strict=True)
        ),
    )
    taken = [result.amount for result in done if isinstance(result, Payment)]
    assert error_types(done) == {LimitExceeded}
    assert sum(taken) <= limit
    refused = [
        item.amount
        for item, result in zip(items, done, strict=True)
        if isinstance(result, Exception)
    ]
    assert min(refused) > limit - sum(taken), "every refused payment exceeds the rest of the limit"
    assert await violations(crowd) == []


async def test_random_operations_on_many_payments_at_once_do_not_deadlock(
    crowd: Backend,
) -> None:
    """PostgreSQL ends a deadlock with an error, which fails this test."""
    staff = [await crowd.collector() for _ in range(6)]
    contracts = [await several_bills(crowd) for _ in range(5)]

    async def operations(nth: int) -> list[str]:
        random_choice = dice("crowd", nth)
        names: list[str] = []
        for _ in range(15):
            by = random_choice.choice(staff)
            contract, bills = random_choice.choice(contracts)
            try:
                names.append(await operation(crowd, random_choice, by, contract, bills))
            except (Refusal, Refused) as refusal:
                names.append(type(refusal).__name__)
        return names

    done = await asyncio.gather(*(operations(nth) for nth in range(MAX_CONCURRENT)))
    names = {name for results in done for name in results}
    assert {"paid", "opened", "handed in", "voided", "refunded"} <= names, (REPEAT, names)
    assert await violations(crowd) == [], REPEAT


async def operation(
    backend: Backend, random_choice: random.Random, by: Context, contract: str, bills: list[Any]
) -> str:
    """Carry out a random operation that locks several rows; return its name."""
    assert by.actor is not None
    name = random_choice.choice(
        ["cash", "cash", "qr", "evidence", "evidence", "cancel", "hand in", *REVERSALS, *REVERSALS]
    )
    if name in ("cash", "qr"):
        command = ProcessPayment(
            idempotency_key=key(),
            contract_number=contract,
            method=PaymentMethod.CASH if name == "cash" else PaymentMethod.VNPAY_QR,
            items=tuple(random_choice.sample(bills, random_choice.randint(1, len(bills)))),
            customer_phone=None,
            notify=NotificationChannels(),
        )
        await payments.process(by, command)
        return "paid" if name == "cash" else "opened"
    if name == "hand in":
        await hand_ins.submit(by, SubmitHandIn(idempotency_key=key(), counted_amount=1, note=None))
        return "handed in"
    if name in REVERSALS:
        return await reverse(backend, random_choice, name)
    payment = await open_payment(backend, random_choice)
    if payment is None:
        return "nothing open"
    if name == "cancel":
        await payment_inquiry.cancel(
            await backend.as_staff(payment.staff_id), payment.id, reason="customer left"
        )
        return "cancelled"
    result = random_choice.choice(
        [GatewayResult.PAID, GatewayResult.DECLINED, GatewayResult.DECLINED]
    )
    await apply_evidence(
        backend,
        payment,
        result,
        random_choice.choice([EvidenceSource.WEBHOOK, EvidenceSource.INQUIRY]),
    )
    return "evidence applied"


async def reverse(backend: Backend, random_choice: random.Random, name: str) -> str:
    rows = await engine.fetch(
        """
        select id, staff, amount from payment
         where status = 'SUCCESS' and coalesce(custody, 'HANDED_IN') = $1 order by id desc limit 5
        """,
        "HELD_BY_STAFF" if name == "void" else "HANDED_IN",
    )
    if not rows:
        return "nothing to reverse"
    given: dict[str, Any] = {"reason": "paid by mistake", "idempotency_key": key()}
    row = random_choice.choice(rows)
    if name == "void":
        await reversals.void(await backend.as_staff(row["staff"]), row["id"], **given)
        return "voided"
    part = random_choice.choice([row["amount"], row["amount"] // 2])
    await reversals.refund(await backend.as_staff("FI001"), row["id"], amount=part, **given)
    return "refunded"


async def open_payment(backend: Backend, random_choice: random.Random) -> Payment | None:
    rows = await engine.fetch(
        "select payment from attempt where status = any($1) order by payment desc limit 5",
        [AttemptStatus.SENT, AttemptStatus.ACCEPTED],
    )
    return await payments_db.by_id(random_choice.choice(rows)["payment"]) if rows else None


async def several_bills(backend: Backend) -> tuple[str, list[Any]]:
    while True:
        contract = f"SGFDN{next(backend.contracts)}"
        bills = await backend.context.revenue.bills(contract)
        if len(bills) >= 4:
            return contract, [bill_item(bill.bill_number, bill.amount) for bill in bills]
