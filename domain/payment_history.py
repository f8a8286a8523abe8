"""A payment's timeline: what was written about it as it happened, for whoever has to understand it later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.payment_evidence import EvidenceSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One audit row. `sequence` is the row's own number, in which all rows are in order.

    `evidence` is the source outside that moved the payment; None where there was none.
    """

    sequence: int
    at: datetime
    actor: str
    action: str
    evidence: EvidenceSource | None
    from_status: str | None
    to_status: str | None
    request_id: str | None
