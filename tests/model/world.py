"""
What a payment must have become, in plain Python: the simplest thing that could be true.

It knows nothing of tables, attempts and jobs: who holds a bill, what a customer has paid, and which
outcomes are possible after that.
"""

from __future__ import annotations

from dataclasses import dataclass, field

OPEN = frozenset({"PENDING", "PROCESSING"})
ENDED = frozenset({"FAILED", "EXPIRED", "CANCELLED"})


@dataclass
class Paid:
    """One payment: what was asked, and what its gateway has taken by now (0: nothing)."""

    id: str
    contract: str
    amount: int
    cash: bool
    reference: str = ""
    taken: int = 0
    ended: bool = False  # somebody was told that it came to nothing
    success: bool = False  # somebody was told that it succeeded
    voided: bool = False
    refunded: int = 0
    decided: bool = False  # two people have said what becomes of its money

    @property
    def left(self) -> int:
        """What can still be given back of it."""
        return self.amount - self.refunded

    @property
    def possible(self) -> frozenset[str]:
        """The states in which it may be now."""
        if self.cash or self.success:
            return frozenset({"SUCCESS"})
        if self.taken == 0:
            return ENDED if self.ended else OPEN | ENDED
        if self.taken < self.amount:
            return ENDED if self.ended else OPEN | ENDED
        return OPEN | ENDED | {"SUCCESS"}

    @property
    def in_the_end(self) -> frozenset[str]:
        """The states in which it rests once nothing is due."""
        if self.cash:
            return frozenset({"SUCCESS"})
        if self.taken == 0:
            return ENDED
        if self.taken < self.amount:  # held for people, or money after the end
            return ENDED | {"PROCESSING"}
        return ENDED | {"SUCCESS"} if self.ended else frozenset({"SUCCESS"})


@dataclass
class World:
    payments: dict[str, Paid] = field(default_factory=dict)
    handed_in: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)

    def add(self, payment: Paid) -> None:
        self.payments[payment.id] = payment

    @property
    def in_hand(self) -> int:
        """What the collector holds in cash, handed in or not, until a cashier has counted it."""
        return sum(
            payment.amount
            for payment in self.payments.values()
            if payment.cash and payment.id not in self.confirmed and not payment.voided
        )

    @property
    def held(self) -> list[Paid]:
        """Cash with its collector that is not on its way to the office."""
        return [
            payment
            for payment in self.payments.values()
            if payment.cash and payment.id not in self.handed_in and not payment.voided
        ]

    @property
    def to_hand_in(self) -> int:
        return sum(item.amount for item in self.held)

    @property
    def refundable(self) -> list[Paid]:
        """What is known to have succeeded by a gateway, and whose money nobody else has decided about."""
        return [
            payment
            for payment in self.payments.values()
            if payment.success and not payment.cash and not payment.decided and payment.left > 0
        ]
