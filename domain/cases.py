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


class CaseDecision(StrEnum):
    """What two people may decide about money that does not fit."""

    APPLY = "APPLY"  # it is what was asked for: the bill is paid; the reversal is approved
    CREDIT = "CREDIT"  # the customer keeps it with us
    REFUND = "REFUND"  # the customer gets it back
    CLOSE = "CLOSE"  # there is nothing to move; the reversal is rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One person's word on a case."""

    actor: str
    decision: CaseDecision
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    `amount` is in VND, None where it is not known. Two people close it, by the same `decision`.

    `about` says what no other field names: a gateway's number, a settlement line. `approvals` are in
    the order in which they were given; whoever asked for a reversal has approved it by asking.
    """

    id: str
    kind: CaseKind
    status: CaseStatus
    opened_at: datetime
    amount: int | None = None
    payment_id: str | None = None
    gateway: GatewayName | None = None
    reversal_id: str | None = None
    hand_in_id: str | None = None
    about: str | None = None
    decision: CaseDecision | None = None
    resolved_at: datetime | None = None
    approvals: tuple[Approval, ...] = ()
