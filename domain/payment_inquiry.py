"""
When to ask a gateway about a payment that no webhook has settled.

A question is due by the clock, never by luck: every running follow-up asks this table again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.attempts import AttemptStatus
from domain.calendar import business_date, day_end
from domain.payment_evidence import Closing
from domain.payments import Payment, PaymentStatus

# A process that was to send gets this long before its silence counts as a crash.
SENDING = timedelta(seconds=30)
GIVE_UP = timedelta(days=7)
# A claim that money came is put to the gateway for this long; then it is for people to find out.
CONFIRMING = timedelta(days=1)
# While a client watches an open QR or form: 3, 6 and 12 s after it was opened, then by this step.
WATCHING = (timedelta(seconds=3), timedelta(seconds=6), timedelta(seconds=12))
WATCHING_STEP = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Ask at `at`; if the gateway says unpaid, end the payment as `closing`."""

    at: datetime
    closing: Closing | None = None


def next_question(payment: Payment, *, quota: timedelta, revocable: bool) -> Question | None:
    """
    Return what to ask next about *payment*; None when nothing is left to ask.

    `quota` must lie between two inquiries of one reference. `revocable` tells whether a reference
    that was closed here can still be paid there.
    """
    attempt = payment.attempt
    if attempt is None or payment.hold_reason is not None:
        return None
    match payment.status:
        case PaymentStatus.PENDING:
            return Question(at=attempt.created_at + SENDING)
        case PaymentStatus.PROCESSING:
            sent = attempt.sent_at or attempt.created_at
            if attempt.status is AttemptStatus.SENT:
                asks = (sent + SENDING + delay for delay in backoff())
            elif attempt.status is AttemptStatus.UNKNOWN:
                asks = (sent + delay for delay in backoff())
            else:
                asks = iter([attempt.expires_at])
            expiry = (attempt.expires_at + delay for delay in backoff(now=True))
            at = _after(asks, attempt.inquired_at) or _after(expiry, attempt.inquired_at)
        case PaymentStatus.EXPIRED | PaymentStatus.CANCELLED if not revocable:
            ended = payment.completed_at
            assert ended is not None
            if attempt.status is AttemptStatus.PAID:
                return None
            watch = (
                ended + timedelta(minutes=5),
                ended + timedelta(hours=1),
                max(day_end(business_date(ended)), ended + timedelta(hours=1)),
            )
            at = _after(iter(watch), attempt.inquired_at)
        case _:
            return None
    if at is None:
        return None
    if attempt.inquired_at is not None:
        at = max(at, attempt.inquired_at + quota)
    closing = Closing.EXPIRED if not payment.is_final and at >= attempt.expires_at else None
    return Question(at=at, closing=closing)


def next_while_watched(payment: Payment, *, quota: timedelta, now: datetime) -> datetime | None:
    """
    Return when to ask next about an open QR or form that a client watches; None when not to.

    A gateway that wants a longer pause is first asked after one, and never so late that the
    question at the QR's end would have to wait: that one frees the bill.
    """
    attempt = payment.attempt
    if attempt is None or payment.status is not PaymentStatus.PROCESSING or payment.hold_reason:
        return None
    if attempt.status is not AttemptStatus.ACCEPTED or attempt.answered_at is None:
        return None
    patient = quota > WATCHING_STEP
    delays = _every(quota) if patient else _every(WATCHING_STEP, *WATCHING)
    at = _after((attempt.answered_at + delay for delay in delays), attempt.inquired_at)
    assert at is not None, "the steps never end"
    if attempt.inquired_at is not None:
        at = max(at, attempt.inquired_at + quota)
    at = max(at, now)
    reserved = quota if patient else timedelta(0)
    return at if at + reserved < attempt.expires_at else None


def _every(step: timedelta, *first: timedelta) -> Iterator[timedelta]:
    """Yield the *first* delays, then go on by *step* without end."""
    delay = timedelta(0)
    for delay in first:
        yield delay
    while True:
        delay += step
        yield delay


def _after(moments: Iterator[datetime], last: datetime | None) -> datetime | None:
    return next((moment for moment in moments if last is None or moment > last), None)


def backoff(*, now: bool = False) -> Iterator[timedelta]:
    """Yield 5 s, 15 s, 1, 5, 15 min, 1 h, then hourly to a day, then daily to the end."""
    if now:
        yield timedelta(0)
    yield timedelta(seconds=5)
    yield timedelta(seconds=15)
    for minutes in (1, 5, 15):
        yield timedelta(minutes=minutes)
    for hours in range(1, 25):
        yield timedelta(hours=hours)
    for days in range(2, GIVE_UP.days + 1):
        yield timedelta(days=days)
