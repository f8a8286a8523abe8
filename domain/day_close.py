"""The close of a collector's day: money taken, voided, handed in and still in hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.methods import PaymentMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class Takings:
    """The payments of one method: how many, and their sum in VND."""

    method: PaymentMethod
    count: int
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DayClose:
    """
    One Vietnamese day of one member of staff, in VND.

    `by_method` sums the payments created on that day that are a success by now, except voided
    ones, whose sum is `voided`. `handed_in` sums the hand-ins submitted on that day: the cashier's
    figure, or the collector's until there is one. `cash_in_hand` is the collector's ledger balance
    at the day's end, or now on the present day; it includes cash of earlier days and cash not
    counted yet.
    """

    voided: int
    handed_in: int
    cash_in_hand: int
    by_method: tuple[Takings, ...]

    @property
    def collected(self) -> int:
        return sum(takings.amount for takings in self.by_method)


def takings(amounts: Mapping[PaymentMethod, tuple[int, int]]) -> tuple[Takings, ...]:
    """Return the takings from (count, amount) by method, in the order of `PaymentMethod`."""
    return tuple(
        Takings(method=method, count=amounts[method][0], amount=amounts[method][1])
        for method in PaymentMethod
        if method in amounts
    )
