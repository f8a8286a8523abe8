"""Many at once, each on a connection of its own: exactly one wins, exactly as many as fit, and no two wait for each other."""

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
from domain.payment_request import NotifyWish, ProcessPayment
from domain.payments import Payment
from domain.refusals import Refusal, Refused
from mobinet.settings import Settings
from resolvers import hand_ins, payment_inquiry, payments, reversals
from resolvers.context import Context
from tests.races.evidence import said, wrong
from tests.support.backend import Backend
from tests.support.builders import bill_item
from tests.support.proof import REPEAT, dice
from tests.support.running_api import Sandbox, key

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

CROWD = 50
BACK = ("void", "refund")
AT_ONCE = (
    16  # at the outer systems, which are few and slow; before the database they queue by themselves
)


@pytest.fixture
async def crowd(backend: Backend, api_settings: Settings) -> Backend:
    """The house with as many connections as there are people at its door."""
    assert api_settings.database_url is not None
    await engine.disconnect()
    await engine.connect(api_settings.database_url.get_secret_value(), pool_size=CROWD)
    return backend


async def all_of(work: Iterable[Awaitable[Any]]) -> list[Any]:
    """Do all of it, so many at once as the outer systems bear; return what each returned or raised."""
    free = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[Any]) -> Any:
        async with free:
            return await each

    return await asyncio.gather(*(one(each) for each in work), return_exceptions=True)


def codes(done: list[Any]) -> set[type]:
    return {
        type(no)
        for item in done
        if isinstance(item, Exception)
        for no in (item.refusals if isinstance(item, Refused) else [item])
    }


async def test_of_fifty_members_of_staff_at_one_bill_one_wins(crowd: Backend) -> None:
    contract = f"SGFDN{next(crowd.contracts)}"
    item = await crowd.owed(contract)
    people = [await crowd.collector() for _ in range(CROWD)]
    done = await all_of(
        (
            crowd.pays(
                by,
                cash_or_qr(nth),
                contract_number=contract,
                items=(item,),
            )
            for nth, by in enumerate(people)
        ),
    )
    assert len([each for each in done if isinstance(each, Payment)]) == 1
    assert codes(done) <= {BillLocked, BillAlreadyPaid}
    (row,) = await engine.fetch(
        "select count(*) filter (where locked) as locked, count(*) as all from payment_item"
        " where contract_number = $1",
        contract,
    )
    assert tuple(row.values()) == (1, 1), "who lost has left nothing"
    assert await wrong(crowd) == []


def cash_or_qr(nth: int) -> PaymentMethod:
    return PaymentMethod.CASH if nth % 2 else PaymentMethod.VNPAY_QR


async def test_of_a_hundred_payments_at_the_edge_of_a_limit_as_many_are_taken_as_fit(
    crowd: Backend, sandbox: Sandbox
) -> None:
    staff_id = f"NV{next(crowd.collectors)}"
    limit = 20_000_000
    sandbox.change_staff(staff_id, daily_limit=limit, per_transaction_limit=limit, used_today=0)
    by = await crowd.by(staff_id)
    contracts = [f"SGFDN{next(crowd.contracts)}" for _ in range(100)]
    items = [await crowd.owed(contract) for contract in contracts]
    done = await all_of(
        (
            crowd.pays(by, PaymentMethod.CASH, contract_number=contract, items=(item,))
            for contract, item in zip(contracts, items, strict=True)
        ),
    )
    taken = [each.amount for each in done if isinstance(each, Payment)]
    assert codes(done) == {LimitExceeded}
    assert sum(taken) <= limit
    refused = [
        item.amount for item, each in zip(items, done, strict=True) if isinstance(each, Exception)
    ]
    assert min(refused) > limit - sum(taken), "none was refused that would have fitted"
    assert await wrong(crowd) == []


async def test_random_mixes_of_many_payments_of_several_bills_wait_for_nobody_who_waits_for_them(
    crowd: Backend,
) -> None:
    """PostgreSQL ends one of two that wait for each other with an error, which would rise from here."""
    people = [await crowd.collector() for _ in range(6)]
    contracts = [await several_bills(crowd) for _ in range(5)]

    async def somebody(nth: int) -> list[str]:
        mine = dice("crowd", nth)
        did: list[str] = []
        for _ in range(15):
            by = mine.choice(people)
            contract, bills = mine.choice(contracts)
            try:
                did.append(await something(crowd, mine, by, contract, bills))
            except (Refusal, Refused) as no:
                did.append(type(no).__name__)
        return did

    done = await asyncio.gather(*(somebody(nth) for nth in range(AT_ONCE)))
    did = [item for several in done for item in several]
    assert {"paid", "asked", "handed in", "voided", "refunded"} <= set(did), (REPEAT, set(did))
    assert await wrong(crowd) == [], REPEAT


async def something(
    backend: Backend, mine: random.Random, by: Context, contract: str, bills: list[Any]
) -> str:
    """Do one of the things that lock more than one row."""
    assert by.actor is not None
    what = mine.choice(["cash", "cash", "qr", "said", "said", "cancel", "hand in", *BACK, *BACK])
    if what in ("cash", "qr"):
        asked = ProcessPayment(
            idempotency_key=key(),
            contract_number=contract,
            method=PaymentMethod.CASH if what == "cash" else PaymentMethod.VNPAY_QR,
            items=tuple(mine.sample(bills, mine.randint(1, len(bills)))),
            customer_phone=None,
            notify=NotifyWish(),
        )
        await payments.process(by, asked)
        return "paid" if what == "cash" else "asked"
    if what == "hand in":
        await hand_ins.submit(by, SubmitHandIn(idempotency_key=key(), counted_amount=1, note=None))
        return "handed in"
    if what in BACK:
        return await money_goes_back(backend, mine, what)
    payment = await an_open_one(backend, mine)
    if payment is None:
        return "nothing open"
    if what == "cancel":
        await payment_inquiry.cancel(
            await backend.by(payment.staff_id), payment.id, reason="left the house"
        )
        return "cancelled"
    result = mine.choice([GatewayResult.PAID, GatewayResult.DECLINED, GatewayResult.DECLINED])
    await said(
        backend, payment, result, mine.choice([EvidenceSource.WEBHOOK, EvidenceSource.INQUIRY])
    )
    return "said"


async def money_goes_back(backend: Backend, mine: random.Random, what: str) -> str:
    rows = await engine.fetch(
        """
        select id, staff, amount from payment
         where status = 'SUCCESS' and coalesce(custody, 'HANDED_IN') = $1 order by id desc limit 5
        """,
        "HELD_BY_STAFF" if what == "void" else "HANDED_IN",
    )
    if not rows:
        return "nothing to give back"
    given: dict[str, Any] = {"reason": "paid by mistake", "idempotency_key": key()}
    one = mine.choice(rows)
    if what == "void":
        await reversals.void(await backend.by(one["staff"]), one["id"], **given)
        return "voided"
    part = mine.choice([one["amount"], one["amount"] // 2])
    await reversals.refund(await backend.by("FI001"), one["id"], amount=part, **given)
    return "refunded"


async def an_open_one(backend: Backend, mine: random.Random) -> Payment | None:
    rows = await engine.fetch(
        "select payment from attempt where status = any($1) order by payment desc limit 5",
        [AttemptStatus.SENT, AttemptStatus.ACCEPTED],
    )
    return await payments_db.by_id(mine.choice(rows)["payment"]) if rows else None


async def several_bills(backend: Backend) -> tuple[str, list[Any]]:
    while True:
        contract = f"SGFDN{next(backend.contracts)}"
        bills = await backend.context.revenue.bills(contract)
        if len(bills) >= 4:
            return contract, [bill_item(bill.bill_number, bill.amount) for bill in bills]
