"""The attempt of a payment that goes through a gateway."""

from __future__ import annotations

from domain.attempts import Attempt
from domain.payments import Payment


class AttemptMissing(Exception):
    """A payment that must have an attempt has none. It is a fault, not a refusal."""


def attempt_of(payment: Payment) -> Attempt:
    """Return the latest attempt of *payment*. Raises AttemptMissing for cash."""
    if payment.attempt is None:
        raise AttemptMissing(payment.id)
    return payment.attempt
