"""Invariants: what always holds of the stored data. `mobinet verify` checks each by name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class InvariantName(StrEnum):
    """The invariants, in the order of the report."""

    LEDGER_BALANCED = "ledger-balanced"
    LEDGER_AS_WRITTEN = "ledger-as-written"
    SUCCESS_IS_POSTED = "success-is-posted"
    SUSPENSE_HAS_A_CASE = "held-is-suspense"
    ONE_COLLECTION = "one-collection-of-a-bill"
    LOCKS = "locks-follow-payments"
    LIMITS = "limits"
    CUSTODY = "custody"
    HAND_INS = "hand-ins"
    REVERSALS = "reversals"
    JOBS = "jobs"
    KEYS = "idempotency-keys"
    AUDITED = "payments-are-audited"
    RECORDS = "records"
    CHAIN = "chain"
    SEALS = "seals"
    SIGNATURES = "record-signatures"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A row that violates an invariant: its table, its key, and what is wrong."""

    table: str
    row: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """The result of one check: how many rows violate it, and the first of them."""

    name: InvariantName
    violations: int
    rows: tuple[Violation, ...] = ()
    checked_at: datetime

    @property
    def holds(self) -> bool:
        return self.violations == 0
