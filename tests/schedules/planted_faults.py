"""Faults planted in this process: a lock, an order or a count that is missing."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

from db import engine, hand_ins, payments
from domain.payments import Payment


@contextmanager
def lock_left_out() -> Generator[None]:
    """Read the payment that evidence is about, without its lock."""
    with mock.patch.object(payments, "locked", payments.get):
        yield


@contextmanager
def check_before_the_lock() -> Generator[None]:
    """Read the payment and then lock it, so that it is checked as it was before."""

    async def read_and_lock(payment_id: str) -> Payment:
        payment = await payments.get(payment_id)
        await engine.execute("select 1 from payment where id = $1 for update", payment_id)
        return payment

    with mock.patch.object(payments, "locked", read_and_lock):
        yield


@contextmanager
def held_cash_before_the_lock() -> Generator[None]:
    """Read which cash a collector holds before its rows are locked."""

    async def read_and_lock(staff_id: str) -> Sequence[Payment]:
        rows = await engine.fetch(
            "select id from payment where staff = $1 and custody = 'HELD_BY_STAFF'", staff_id
        )
        ids = [row["id"] for row in rows]
        await engine.execute("select 1 from payment where id = any($1) for update", ids)
        return await payments.by_ids(ids)

    with mock.patch.object(hand_ins, "lock_held", read_and_lock):
        yield


@contextmanager
def row_count_left_out() -> Generator[None]:
    """Believe that each bill of a new payment was locked, without counting the rows."""
    add = payments.add

    async def add_and_believe(*args: Any) -> bool:
        await add(*args)
        return True

    with mock.patch.object(payments, "add", add_and_believe):
        yield
