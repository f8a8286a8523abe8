"""Announcements: hints to watchers after a commit, to read the database again."""

from __future__ import annotations

from domain.methods import STAFF_MONEY
from domain.payments import Payment
from resolvers.context import Context
from resolvers.display_cache import CONTRACTS

PAYMENTS = "payments"
"""The channel of every change of any payment; a worker hears on it that jobs may be due."""


async def announce(context: Context, *changed: Payment) -> None:
    """Wake the watchers of each payment, of all payments, and of the collectors' limits."""
    hints: list[tuple[str, str]] = []
    for payment in changed:
        message = f"{payment.id} {payment.version}"
        hints += [(f"payment:{payment.id}", message), (PAYMENTS, message)]
        if payment.contract_number is not None:
            hints.append(_changed_contract(context, payment.contract_number))
        if payment.method in STAFF_MONEY:
            hints.append((limit_channel(payment.staff_id), payment.staff_id))
    await context.hub.publish_all(hints)


async def announce_contract(context: Context, contract_number: str) -> None:
    """Say that a system knows something new of a contract, so that caches drop it."""
    await context.hub.publish(*_changed_contract(context, contract_number))


def _changed_contract(context: Context, contract_number: str) -> tuple[str, str]:
    """Drop the contract from this process's display cache; return the hint for all others."""
    context.display_cache.drop(contract_number)
    return CONTRACTS, contract_number


def limit_channel(staff_id: str) -> str:
    return f"limit:{staff_id}"
