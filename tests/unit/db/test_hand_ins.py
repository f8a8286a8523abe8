"""Each cash payment is in exactly one place, however hand-ins, voids and counts race for it."""

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
from tests.support.builders import NOW, a_hand_in
from tests.support.database import a_collector, a_kept_payment, unique

T = TypeVar("T")
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]


async def held_cash(by: Staff) -> Payment:
    return await a_kept_payment(
        PaymentStatus.SUCCESS,
        method=PaymentMethod.CASH,
        collector=by,
        custody=Custody.HELD_BY_STAFF,
        completed_at=NOW,
    )


async def hand_in(by: Staff) -> list[str]:
    """Hand in what *by* holds, as the house does; return the payments that went along."""
    async with transaction():
        held = await hand_ins.lock_held(by.staff_id)
        if not held:
            return []
        new = a_hand_in(id=unique("HIN_"), staff_id=by.staff_id)
        await hand_ins.add(new)
        moved = await hand_ins.move(
            [payment.id for payment in held], Custody.HANDED_IN, new.id, NOW
        )
    return [payment.id for payment in moved]


async def ask_for_void(payment: Payment, status: str) -> None:
    """In the caller's transaction, which has locked the payment."""
    await engine.execute(
        """
        insert into reversal (id, payment, kind, status, amount, currency, source, reason,
                              requested_by, created_at, updated_at, inquiries, posting_status)
        values ($1, $2, 'VOID', $3, $4, 'VND', 'customer_receivable', 'mistake', 'SV001', $5, $5, 0, 'NONE')
        """,
        unique("REV_"),
        payment.id,
        status,
        payment.amount,
        NOW,
    )


async def test_a_version_grows_with_each_place_that_cash_is_in() -> None:
    by = await a_collector()
    held = await held_cash(by)
    assert await hand_in(by) == [held.id]
    moved = await payments.by_id(held.id)
    assert moved is not None
    assert (moved.custody, moved.version) == (Custody.HANDED_IN, held.version + 1)


async def test_what_waits_for_its_void_to_be_decided_stays_with_its_collector() -> None:
    by = await a_collector()
    waiting, plain = await held_cash(by), await held_cash(by)
    async with transaction():
        await ask_for_void(waiting, "AWAITING_APPROVAL")
    assert await hand_in(by) == [plain.id]
    assert await hand_in(by) == []


async def test_a_void_that_was_rejected_keeps_nothing_back() -> None:
    by = await a_collector()
    held = await held_cash(by)
    async with transaction():
        await ask_for_void(held, "FAILED")
    assert await hand_in(by) == [held.id]


async def test_a_hand_in_that_waited_for_a_voids_request_leaves_that_payment_out(
    owner: asyncpg.Connection,
) -> None:
    by = await a_collector()
    waiting, plain = await held_cash(by), await held_cash(by)
    async with transaction():
        await payments.lock(waiting.id)
        beside = await blocked(hand_in(by), owner)
        await ask_for_void(waiting, "AWAITING_APPROVAL")
    assert await beside == [plain.id]


async def test_a_hand_in_that_waited_for_a_void_leaves_that_payment_out(
    owner: asyncpg.Connection,
) -> None:
    by = await a_collector()
    voided, plain = await held_cash(by), await held_cash(by)
    async with transaction():
        await payments.lock(voided.id)
        beside = await blocked(hand_in(by), owner)
        await engine.execute(
            "update payment set custody = 'VOIDED', version = version + 1 where id = $1", voided.id
        )
    assert await beside == [plain.id]


async def test_cash_that_was_handed_in_is_not_voided_even_by_the_owner(
    owner: asyncpg.Connection,
) -> None:
    by = await a_collector()
    held = await held_cash(by)
    await hand_in(by)
    with pytest.raises(asyncpg.RaiseError, match="does not become VOIDED"):
        await owner.execute("update payment set custody = 'VOIDED' where id = $1", held.id)


async def blocked(work: Coroutine[Any, Any, T], owner: asyncpg.Connection) -> asyncio.Task[T]:
    """Begin *work* outside of the present transaction, and wait until it waits for a row."""
    task = asyncio.create_task(work, context=contextvars.Context())
    async with asyncio.timeout(10):
        while not await owner.fetchval(
            "select exists (select from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock')"
        ):
            await asyncio.sleep(0)
    return task
