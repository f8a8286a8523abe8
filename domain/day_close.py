"""The close of a collector's day: what they took, what was undone, what they brought, what they still hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.methods import PaymentMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Takings:
    """What came in by one method."""

    method: PaymentMethod
    count: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayClose:
    """
    One Vietnamese day of one member of staff, in VND.

    `by_method` is of the payments made on that day that succeeded, whenever that was, but for those
    that were voided since: these are `voided`. `handed_in` is what was counted of the hand-ins
    submitted on that day: the cashier's figure, before there is one the collector's. `cash_in_hand` is
    the ledger's balance in the collector's name at the day's end, now while the day lasts: with what
    was carried over from days before, and what no cashier has counted yet.
    """

    voided: int
    handed_in: int
    cash_in_hand: int
    by_method: tuple[Takings, ...]

    @property
    def collected(self) -> int:
        return sum(takings.amount for takings in self.by_method)


def takings(amounts: Mapping[PaymentMethod, tuple[int, int]]) -> tuple[Takings, ...]:
    """Return (count, amount) by method in the order in which methods are told."""
    return tuple(
        Takings(method=method, count=amounts[method][0], amount=amounts[method][1])
        for method in PaymentMethod
        if method in amounts
    )
