"""
Shares: what a refund in đồng is in the currency in which its gateway was paid.

All shares together are the same proportion of the captured sum as their đồng of the payment,
rounded half up to the cent, so rounding does not add up. While đồng are left, at least one cent is
left for them; the last part gets the exact rest.
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
    Return the share of *captured* for *part*, in VND; None if both are one currency.

    *earlier* holds the payment's reversals, locked with it. Raises TooSmallToShare.
    """
    if captured.currency is payment.currency:
        return None
    given = [
        (item.amount, item.share.amount)
        for item in earlier
        if item.share is not None and item.status is not ReversalStatus.FAILED
    ]
    before = sum(amount for amount, _ in given)
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
        "Giao dịch {id}: {requested} đồng chưa tới một cent của khoản đã thu bằng ngoại tệ. Hãy"
        " hoàn ít nhất {expected} đồng."
    )
    en = (
        "Payment {id}: {requested} VND is less than a cent of what was taken in another currency."
        " Give back {expected} VND at least."
    )
