"""Each cash payment has one custody, however hand-ins and voids race for it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import pytest

from db import engine, hand_ins, payments
from db.transaction import transaction
from domain.methods import PaymentMethod
from domain.payments import Custody, Payment, PaymentStatus
from domain.staff import Staff
from tests.races.row_lock import WAITING_SESSIONS
from tests.support.builders import NOW, a_hand_in
from tests.support.database import add_collector, add_payment, unique

T = TypeVar("T")
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]


async def add_held_cash(collector: Staff) -> Payment:
    return await add_payment(
        PaymentStatus.SUCCESS,
        method=PaymentMethod.CASH,
        collector=collector,
        custody=Custody.HELD_BY_STAFF,
        completed_at=NOW,
    )


async def hand_in(collector: Staff) -> list[str]:
    """Hand in all cash that the collector holds; return the ids of its payments."""
    async with transaction():
        held = await hand_ins.lock_held(collector.staff_id)
        if not held:
            return []
        new = a_hand_in(id=unique("HIN_"), staff_id=collector.staff_id)
        await hand_ins.add(new)
        moved = await hand_ins.move(
            [payment.id for payment in held], Custody.HANDED_IN, new.id, NOW
        )
    return [payment.id for payment in moved]


async def add_void(payment: Payment, status: str) -> None:
    """Add a void in the caller's transaction, which has locked the payment."""
    await engine.execute(
        """
        insert into reversal (id, payment, kind, status, amount, currency, source, reason,
                              requested_by, created_at, updated_at, inquiries, posting_status)
        values ($1, $2, 'VOID', $3, $4, 'VND', 'customer_receivable', 'mistake', 'SV001',
                $5, $5, 0, 'NONE')
        """,
        unique("REV_"),
        payment.id,
        status,
        payment.amount,
        NOW,
    )


async def test_a_change_of_custody_grows_the_version() -> None:
    collector = await add_collector()
    held = await add_held_cash(collector)
    assert await hand_in(collector) == [held.id]
    moved = await payments.by_id(held.id)
    assert moved is not None
    assert (moved.custody, moved.version) == (Custody.HANDED_IN, held.version + 1)


async def test_a_payment_whose_void_awaits_approval_is_not_handed_in() -> None:
    collector = await add_collector()
    waiting, plain = await add_held_cash(collector), await add_held_cash(collector)
    async with transaction():
        await add_void(waiting, "AWAITING_APPROVAL")
    assert await hand_in(collector) == [plain.id]
    assert await hand_in(collector) == []


async def test_a_payment_whose_void_was_rejected_is_handed_in() -> None:
    collector = await add_collector()
    held = await add_held_cash(collector)
    async with transaction():
        await add_void(held, "FAILED")
    assert await hand_in(collector) == [held.id]


async def test_a_hand_in_that_waited_for_a_voids_request_leaves_that_payment_out(
    owner: asyncpg.Connection,
) -> None:
    collector = await add_collector()
    waiting, plain = await add_held_cash(collector), await add_held_cash(collector)
    async with transaction():
        await payments.lock(waiting.id)
        handing_in = await start_blocked(hand_in(collector), owner)
        await add_void(waiting, "AWAITING_APPROVAL")
    assert await handing_in == [plain.id]


async def test_a_hand_in_that_waited_for_a_void_leaves_that_payment_out(
    owner: asyncpg.Connection,
) -> None:
    collector = await add_collector()
    voided, plain = await add_held_cash(collector), await add_held_cash(collector)
    async with transaction():
        await payments.lock(voided.id)
        handing_in = await start_blocked(hand_in(collector), owner)
        await engine.execute(
            "update payment set custody = 'VOIDED', version = version + 1 where id = $1", voided.id
        )
    assert await handing_in == [plain.id]


@pytest.mark.invariant(20)
async def test_cash_that_was_handed_in_is_not_voided_even_by_the_owner(
    owner: asyncpg.Connection,
) -> None:
    collector = await add_collector()
    held = await add_held_cash(collector)
    await hand_in(collector)
    with pytest.raises(asyncpg.RaiseError, match="does not become VOIDED"):
        await owner.execute("update payment set custody = 'VOIDED' where id = $1", held.id)


async def start_blocked(work: Coroutine[Any, Any, T], owner: asyncpg.Connection) -> asyncio.Task[T]:
    """Start *work* outside the present transaction, and return when it waits for a lock."""
    task = asyncio.create_task(work, context=contextvars.Context())
    async with asyncio.timeout(10):
        while not await owner.fetchval(WAITING_SESSIONS):
            await asyncio.sleep(0)
    return task
