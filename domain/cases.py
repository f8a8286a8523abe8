"""Cases: money that does not fit, waiting for people."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.methods import GatewayName


class CaseKind(StrEnum):
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    LATE_MONEY = "LATE_MONEY"
    PAID_TWICE = "PAID_TWICE"
    UNMATCHED = "UNMATCHED"
    SUSPICIOUS = "SUSPICIOUS"
    UNKNOWN_OUTCOME = "UNKNOWN_OUTCOME"
    VARIANCE = "VARIANCE"
    SETTLEMENT = "SETTLEMENT"
    APPROVAL = "APPROVAL"


class CaseStatus(StrEnum):
    OPEN = "OPEN"
    AWAITING_SECOND = "AWAITING_SECOND"
    RESOLVED = "RESOLVED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`amount` is in VND, None where it is not known. Two people close it."""

    id: str
    kind: CaseKind
    status: CaseStatus
    opened_at: datetime
    amount: int | None = None
    payment_id: str | None = None
    gateway: GatewayName | None = None
