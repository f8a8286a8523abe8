"""Getters that must find their row: `get` and `locked` return it, or raise RowMissing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from db import cases, hand_ins, orders, payments, reversals, webhooks
from db.errors import RowMissing
from db.transaction import transaction
from tests.support.builders import NOW
from tests.support.database import add_payment

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

Getter = Callable[[str], Awaitable[Any]]

GETTERS: dict[str, Getter] = {
    "payments.get": payments.get,
    "payments.locked": payments.locked,
    "reversals.get": reversals.get,
    "reversals.locked": reversals.locked,
    "reversals.payment_id_of": reversals.payment_id_of,
    "cases.get": lambda case_id: cases.get(case_id, NOW),
    "cases.locked": lambda case_id: cases.locked(case_id, NOW),
    "hand_ins.get": hand_ins.get,
    "hand_ins.locked": hand_ins.locked,
    "orders.get": orders.get,
    "orders.locked": orders.locked,
    "webhooks.get": webhooks.get,
}


@pytest.mark.parametrize("getter", GETTERS.values(), ids=list(GETTERS))
async def test_a_getter_raises_where_the_row_is_missing(getter: Getter) -> None:
    async def call() -> None:
        async with transaction():
            await getter("UNKNOWN")

    with pytest.raises(RowMissing, match="UNKNOWN does not exist"):
        await call()


async def test_a_getter_returns_the_row() -> None:
    payment = await add_payment()
    assert await payments.get(payment.id) == await payments.by_id(payment.id)
    async with transaction():
        assert await payments.locked(payment.id) == await payments.by_id(payment.id)
