"""Announcements: hints to watchers after a commit, to read the database again."""

from __future__ import annotations

from domain.methods import STAFF_MONEY
from domain.payments import Payment
from resolvers.context import Context

PAYMENTS = "payments"
"""The channel of every change of any payment; a worker hears on it that jobs may be due."""


async def announce(context: Context, *changed: Payment) -> None:
    """Wake the watchers of each payment, of all payments, and of the collectors' limits."""
    hints: list[tuple[str, str]] = []
    for payment in changed:
        message = f"{payment.id} {payment.version}"
        hints += [(f"payment:{payment.id}", message), (PAYMENTS, message)]
        if payment.method in STAFF_MONEY:
            hints.append((limit_channel(payment.staff_id), payment.staff_id))
    await context.hub.publish_all(hints)


def limit_channel(staff_id: str) -> str:
    return f"limit:{staff_id}"
