"""Cash payments and their voids, made by the resolvers."""

from __future__ import annotations

from typing import Any

from db import reversals
from domain.methods import PaymentMethod
from domain.payments import Payment
from domain.reversals import Reversal
from resolvers import reversals as resolve
from tests.support.backend import Backend
from tests.support.running_api import key


async def voided(backend: Backend, payment: Payment, by: Any) -> resolve.ReversalResult:
    """Void the payment as *by*."""
    return await resolve.void(by, payment.id, reason="paid by mistake", idempotency_key=key())


async def now(reversal: Reversal) -> Reversal:
    """Return the reversal as it is now."""
    found = await reversals.by_id(reversal.id)
    assert found is not None
    return found


async def cash(backend: Backend, by: Any) -> Payment:
    """Collect a new contract's first bill in cash."""
    return await backend.new_payment(by, PaymentMethod.CASH)
