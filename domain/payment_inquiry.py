"""
The inquiry schedule: when to inquire at a gateway about a payment that no webhook has settled.

The next moment depends only on the stored payment and the clock, so every follow-up computes it
anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.attempts import AttemptStatus
from domain.calendar import business_date, day_end
from domain.payment_evidence import Closing
from domain.payments import Payment, PaymentStatus

# A process has this long to send; then it counts as crashed.
SEND_GRACE = timedelta(seconds=30)
GIVE_UP_AFTER = timedelta(days=7)
# A claim that money came is checked with the gateway for this long, then becomes a case.
CONFIRM_FOR = timedelta(days=1)
# While a client watches an open QR or form: 3, 6 and 12 s after it opened, then every step.
WATCH_DELAYS = (timedelta(seconds=3), timedelta(seconds=6), timedelta(seconds=12))
WATCH_STEP = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueInquiry:
    """The next inquiry: due at `at`; an unpaid payment then ends as `closing`."""

    at: datetime
    closing: Closing | None = None


def next_inquiry(payment: Payment, *, quota: timedelta, revocable: bool) -> DueInquiry | None:
    """
    Return the next inquiry about *payment*; None if none is left.

    `quota` is the least time between two inquiries about one reference. `revocable` says that a
    payment which ended here can no longer be paid at the gateway.
    """
    attempt = payment.attempt
    if attempt is None or payment.hold_reason is not None:
        return None
    match payment.status:
        case PaymentStatus.PENDING:
            return DueInquiry(at=attempt.created_at + SEND_GRACE)
        case PaymentStatus.PROCESSING:
            sent = attempt.sent_at or attempt.created_at
            if attempt.status is AttemptStatus.SENT:
                moments = (sent + SEND_GRACE + delay for delay in backoff())
            elif attempt.status is AttemptStatus.UNKNOWN:
                moments = (sent + delay for delay in backoff())
            else:
                moments = iter([attempt.expires_at])
            expiry = (attempt.expires_at + delay for delay in backoff(now=True))
            at = _after(moments, attempt.inquired_at) or _after(expiry, attempt.inquired_at)
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
    return DueInquiry(at=at, closing=closing)


def next_while_watched(payment: Payment, *, quota: timedelta, now: datetime) -> datetime | None:
    """
    Return when to inquire next about an open QR or form that a client watches; None if never.

    A gateway with a longer quota gets its first inquiry after one quota. No inquiry comes so
    late that it would delay the one at the QR's end, which frees the bill.
    """
    attempt = payment.attempt
    if attempt is None or payment.status is not PaymentStatus.PROCESSING or payment.hold_reason:
        return None
    if attempt.status is not AttemptStatus.ACCEPTED or attempt.answered_at is None:
        return None
    is_slow = quota > WATCH_STEP
    delays = _every(quota) if is_slow else _every(WATCH_STEP, *WATCH_DELAYS)
    at = _after((attempt.answered_at + delay for delay in delays), attempt.inquired_at)
    assert at is not None, "the steps never end"
    if attempt.inquired_at is not None:
        at = max(at, attempt.inquired_at + quota)
    at = max(at, now)
    reserved = quota if is_slow else timedelta(0)
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
    """Return the first of *moments* after *last*; None if there is none."""
    return next((moment for moment in moments if last is None or moment > last), None)


def backoff(*, now: bool = False) -> Iterator[timedelta]:
    """Yield 5 s, 15 s, 1, 5, 15 min, then hourly for a day, then daily until GIVE_UP_AFTER."""
    if now:
        yield timedelta(0)
    yield timedelta(seconds=5)
    yield timedelta(seconds=15)
    for minutes in (1, 5, 15):
        yield timedelta(minutes=minutes)
    for hours in range(1, 25):
        yield timedelta(hours=hours)
    for days in range(2, GIVE_UP_AFTER.days + 1):
        yield timedelta(days=days)
