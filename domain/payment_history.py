"""A payment's timeline: what was written about it as it happened, for whoever has to understand it later."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """
    One audit row. `sequence` is the row's own number, in which all rows are in order.

    `evidence` is the class of what moved the payment (E0–E4, NONE), None where nothing was claimed.
    """

    sequence: int
    at: datetime
    actor: str
    action: str
    evidence: str | None
    from_status: str | None
    to_status: str | None
    request_id: str | None
