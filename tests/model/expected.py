"""
The states in which each payment may be, by a model in plain Python.

It has no tables, attempts or jobs: only what was paid, and the outcomes that are then possible.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OPEN = frozenset({"PENDING", "PROCESSING"})
ENDED = frozenset({"FAILED", "EXPIRED", "CANCELLED"})


@dataclass
class ExpectedPayment:
    """One payment; `taken` is what its gateway has taken so far, in đồng."""

    id: str
    contract: str
    amount: int
    cash: bool
    reference: str = ""
    taken: int = 0
    ended: bool = False  # a client was answered that it ended without success
    success: bool = False  # a client was answered that it succeeded
    voided: bool = False
    refunded: int = 0
    decided: bool = False  # two people have decided about its money

    @property
    def remaining_amount(self) -> int:
        """Return what can still be refunded."""
        return self.amount - self.refunded

    @property
    def possible_statuses(self) -> frozenset[str]:
        """Return the statuses that it may have now."""
        if self.cash or self.success:
            return frozenset({"SUCCESS"})
        if self.taken == 0:
            return ENDED if self.ended else OPEN | ENDED
        if self.taken < self.amount:
            return ENDED if self.ended else OPEN | ENDED
        return OPEN | ENDED | {"SUCCESS"}

    @property
    def final_statuses(self) -> frozenset[str]:
        """Return the statuses that it may have once nothing is due."""
        if self.cash:
            return frozenset({"SUCCESS"})
        if self.taken == 0:
            return ENDED
        if self.taken < self.amount:  # on hold, or money after the end
            return ENDED | {"PROCESSING"}
        return ENDED | {"SUCCESS"} if self.ended else frozenset({"SUCCESS"})


@dataclass
class ExpectedState:
    payments: dict[str, ExpectedPayment] = field(default_factory=dict)
    handed_in: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)

    def add(self, payment: ExpectedPayment) -> None:
        self.payments[payment.id] = payment

    @property
    def in_hand(self) -> int:
        """Return the collector's cash that no cashier has counted yet."""
        return sum(
            payment.amount
            for payment in self.payments.values()
            if payment.cash and payment.id not in self.confirmed and not payment.voided
        )

    @property
    def held(self) -> list[ExpectedPayment]:
        """Return the cash payments that were neither handed in nor voided."""
        return [
            payment
            for payment in self.payments.values()
            if payment.cash and payment.id not in self.handed_in and not payment.voided
        ]

    @property
    def to_hand_in(self) -> int:
        return sum(payment.amount for payment in self.held)

    @property
    def refundable(self) -> list[ExpectedPayment]:
        """Return the known successes by a gateway about which no case was decided."""
        return [
            payment
            for payment in self.payments.values()
            if payment.success
            and not payment.cash
            and not payment.decided
            and payment.remaining_amount > 0
        ]
