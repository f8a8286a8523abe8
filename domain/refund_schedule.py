"""
When to send a refund to its gateway, and when to ask what became of it.

What was never sent is sent again; what may have been is only asked about, never sent twice by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from domain.payment_inquiry import SENDING, backoff
from domain.reversals import UNSETTLED, Reversal, ReversalStatus


class Step(StrEnum):
    SEND = "SEND"
    ASK = "ASK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    step: Step
    at: datetime


def next_step(reversal: Reversal, *, quota: timedelta) -> Next | None:
    """
    Return what to do next about a refund; None when it is settled, or the table has no more.

    The table is that of domain/payment_inquiry.py; *quota* must lie between two questions.
    """
    if reversal.status not in UNSETTLED:
        return None
    sent, last = reversal.sent_at, reversal.inquired_at
    if sent is None:
        if last is None:
            return Next(step=Step.SEND, at=reversal.created_at)
        waits = _waits()
        if reversal.inquiries > len(waits):
            return None
        return Next(step=Step.SEND, at=last + waits[reversal.inquiries - 1])
    if reversal.status is ReversalStatus.PENDING:  # whoever sends it has this long to answer
        return Next(step=Step.ASK, at=sent + SENDING)
    asks = (sent + delay for delay in backoff())
    at = next((moment for moment in asks if last is None or moment > last), None)
    if at is None:
        return None
    return Next(step=Step.ASK, at=at if last is None else max(at, last + quota))


def _waits() -> Sequence[timedelta]:
    """Return how long to wait after each try that did not go out."""
    delays = list(backoff(now=True))
    return [after - before for before, after in pairwise(delays)]
