"""
Shares: what a part in đồng is at a gateway that was paid in another currency.

What was shared out so far is always the same proportion of what was captured as the đồng that it stands
for, rounded half up to the cent: no rounding adds up. While đồng are left, a cent is kept for them, so that
the last part can be given back too, and is the rest to the cent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from domain.bills import AmountMismatch
from domain.money import Money
from domain.payments import Payment
from domain.reversals import Reversal, ReversalStatus


def share_of(
    payment: Payment, part: int, *, captured: Money, earlier: Sequence[Reversal]
) -> Money | None:
    """
    Return what of *captured* goes back with *part* of the payment; None where both are one currency.

    *earlier* are the payment's reversals, which are locked with it. Raises TooSmallToShare.
    """
    if captured.currency is payment.currency:
        return None
    given = [
        (item.amount, item.share.amount)
        for item in earlier
        if item.share is not None and item.status is not ReversalStatus.FAILED
    ]
    before = sum(dong for dong, _ in given)
    shared = sum(cents for _, cents in given)
    whole, cents = payment.amount, captured.amount
    total = (2 * cents * (before + part) + whole) // (2 * whole)
    if before + part < whole:
        total = min(total, cents - 1)
    if total <= shared:
        rounds_up = -(-whole * (2 * shared + 1) // (2 * cents)) - before
        left = whole - before
        least = min(rounds_up, left) if shared + 1 < cents else left
        raise TooSmallToShare(id=payment.id, expected=least, requested=part)
    return Money(total - shared, captured.currency)


@dataclass(eq=False, kw_only=True)
class TooSmallToShare(AmountMismatch):
    vi = (
        "Giao dịch {id}: {requested} đồng chưa tới một cent của khoản đã thu bằng ngoại tệ. Hãy hoàn ít"
        " nhất {expected} đồng."
    )
    en = (
        "Payment {id}: {requested} VND is less than a cent of what was taken in another currency. Give"
        " back {expected} VND at least."
    )
