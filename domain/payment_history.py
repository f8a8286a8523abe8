"""A payment's timeline: its audit rows, in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.payment_evidence import EvidenceSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One audit row; rows are ordered by `sequence`.

    `evidence` is the source outside that moved the payment, or None.
    """

    sequence: int
    at: datetime
    actor: str
    action: str
    evidence: EvidenceSource | None
    from_status: str | None
    to_status: str | None
    request_id: str | None
