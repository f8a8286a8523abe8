"""Announcements: hints to watchers after a commit, to read the database again."""

from __future__ import annotations

import asyncio

from domain.methods import STAFF_MONEY
from domain.payments import Payment
from resolvers.context import Context


async def announce(context: Context, payment: Payment) -> None:
    """Wake the watchers of this payment, of all payments, and of its collector's limits."""
    message = f"{payment.id} {payment.version}"
    hints = [
        context.hub.publish(f"payment:{payment.id}", message),
        context.hub.publish("payments", message),
    ]
    if payment.method in STAFF_MONEY:
        hints.append(announce_limits(context, payment.staff_id))
    await asyncio.gather(*hints)


async def announce_limits(context: Context, staff_id: str) -> None:
    """Wake the watchers of this member of staff's limits."""
    await context.hub.publish(limit_channel(staff_id), staff_id)


def limit_channel(staff_id: str) -> str:
    return f"limit:{staff_id}"
