"""
When to send a refund to its gateway, and when to inquire about it.

A refund that was certainly not sent is sent again; one that may have been sent is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from domain.payment_inquiry import SEND_GRACE, backoff
from domain.reversals import UNSETTLED, Reversal, ReversalStatus


class Step(StrEnum):
    SEND = "SEND"
    INQUIRE = "INQUIRE"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextStep:
    step: Step
    at: datetime


def next_step(reversal: Reversal, *, quota: timedelta) -> NextStep | None:
    """
    Return the next step of a refund; None if it has ended or the schedule has no more steps.

    The schedule is `backoff` of payments; *quota* is the least time between two inquiries.
    """
    if reversal.status not in UNSETTLED:
        return None
    sent, last = reversal.sent_at, reversal.inquired_at
    if sent is None:
        if last is None:
            return NextStep(step=Step.SEND, at=reversal.created_at)
        waits = _waits()
        if reversal.inquiries > len(waits):
            return None
        return NextStep(step=Step.SEND, at=last + waits[reversal.inquiries - 1])
    if reversal.status is ReversalStatus.PENDING:  # the sending process has this long
        return NextStep(step=Step.INQUIRE, at=sent + SEND_GRACE)
    moments = (sent + delay for delay in backoff())
    at = next((moment for moment in moments if last is None or moment > last), None)
    if at is None:
        return None
    return NextStep(step=Step.INQUIRE, at=at if last is None else max(at, last + quota))


def _waits() -> Sequence[timedelta]:
    """Return the waits after each try that was not sent."""
    delays = list(backoff(now=True))
    return [after - before for before, after in pairwise(delays)]
