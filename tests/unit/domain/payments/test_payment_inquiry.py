"""The inquiry schedule, walked by moving the clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.attempts import AttemptStatus
from domain.methods import PaymentMethod
from domain.payment_evidence import Closing
from domain.payment_inquiry import GIVE_UP_AFTER, SEND_GRACE, next_inquiry, next_while_watched
from domain.payments import HoldReason, Payment, PaymentStatus
from tests.support.builders import NOW, a_payment, an_attempt

S, M, H, D = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
# 5 s, 15 s, 1, 5, 15 min, 1 h, hourly to 24 h, daily to 7 days.
SCHEDULE = [
    5 * S,
    15 * S,
    M,
    5 * M,
    15 * M,
    *(n * H for n in range(1, 25)),
    *(n * D for n in range(2, 8)),
]
EXPIRY = NOW + 15 * M


def schedule_of(
    payment: Payment, *, quota: timedelta = timedelta(0), revocable: bool = True
) -> list[tuple[timedelta, Closing | None]]:
    """Return each inquiry's time since NOW and its closing, if the gateway never answers."""
    inquiries: list[tuple[timedelta, Closing | None]] = []
    while question := next_inquiry(payment, quota=quota, revocable=revocable):
        inquiries.append((question.at - NOW, question.closing))
        assert payment.attempt is not None
        payment = replace(payment, attempt=replace(payment.attempt, inquired_at=question.at))
        assert len(inquiries) < 200, "the schedule never ends"
    return inquiries


def unanswered(status: AttemptStatus) -> Payment:
    return a_payment(attempt=an_attempt(status, expires_at=EXPIRY), expires_at=EXPIRY)


def test_an_unanswered_payment_is_inquired_about_for_seven_days() -> None:
    times = [at for at, _ in schedule_of(unanswered(AttemptStatus.UNKNOWN))]
    within = [at for at in times if at <= GIVE_UP_AFTER]
    assert within == SCHEDULE
    assert times[-1] <= GIVE_UP_AFTER + 15 * M


def test_a_payment_whose_process_died_is_inquired_about_after_its_time_to_send() -> None:
    times = [at for at, _ in schedule_of(unanswered(AttemptStatus.SENT))]
    assert times[: len(SCHEDULE)] == [SEND_GRACE + delay for delay in SCHEDULE]


def test_only_an_inquiry_at_or_after_the_expiry_ends_a_payment() -> None:
    for status in (AttemptStatus.SENT, AttemptStatus.UNKNOWN, AttemptStatus.ACCEPTED):
        for at, closing in schedule_of(unanswered(status)):
            assert closing is (Closing.EXPIRED if NOW + at >= EXPIRY else None)


def test_an_open_qr_is_inquired_about_from_its_expiry_on() -> None:
    times = [at for at, _ in schedule_of(unanswered(AttemptStatus.ACCEPTED))]
    assert times == [15 * M, *(15 * M + delay for delay in SCHEDULE)]


@given(st.timedeltas(timedelta(0), timedelta(days=1)))
def test_two_inquiries_are_a_quota_apart(quota: timedelta) -> None:
    for status in (AttemptStatus.SENT, AttemptStatus.UNKNOWN, AttemptStatus.ACCEPTED):
        times = [at for at, _ in schedule_of(unanswered(status), quota=quota)]
        assert all(later - earlier >= quota for earlier, later in pairwise(times))


def test_vnpay_is_inquired_every_five_minutes_at_most() -> None:
    times = [at for at, _ in schedule_of(unanswered(AttemptStatus.UNKNOWN), quota=300 * S)]
    assert times[:3] == [5 * S, 305 * S, 15 * M]


@pytest.mark.parametrize("status", [PaymentStatus.EXPIRED, PaymentStatus.CANCELLED])
@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ("2026-03-04T05:00:00Z", ["05:05", "06:00", "17:00"]),
        ("2026-03-04T16:57:00Z", ["17:02", "17:57"]),
        ("2026-03-04T17:00:00Z", ["17:05", "18:00", "17:00"]),
    ],
    ids=["by day", "at its end", "at its beginning"],
)
def test_an_irrevocable_reference_is_inquired_about_until_the_end_of_the_day(
    status: PaymentStatus, ended: str, expected: list[str]
) -> None:
    payment = a_payment(
        status,
        completed_at=datetime.fromisoformat(ended),
        attempt=an_attempt(AttemptStatus(status)),
    )
    times = [f"{NOW + at:%H:%M}" for at, _ in schedule_of(payment, revocable=False)]
    assert times == expected
    assert all(closing is None for _, closing in schedule_of(payment, revocable=False))
    assert schedule_of(payment, revocable=True) == []


def test_an_unsent_payment_is_due_once_its_time_to_send_has_passed() -> None:
    payment = a_payment(PaymentStatus.PENDING, attempt=an_attempt(AttemptStatus.CREATED))
    question = next_inquiry(payment, quota=300 * S, revocable=False)
    assert question is not None
    assert (question.at, question.closing) == (NOW + SEND_GRACE, None)


WITHOUT_INQUIRY = {
    "cash": a_payment(PaymentStatus.SUCCESS, method=PaymentMethod.CASH),
    "a success": a_payment(PaymentStatus.SUCCESS, attempt=an_attempt(AttemptStatus.PAID)),
    "a failure": a_payment(PaymentStatus.FAILED, attempt=an_attempt(AttemptStatus.DECLINED)),
    "held for people": a_payment(hold_reason=HoldReason.AMOUNT_MISMATCH),
    "late money in a case": a_payment(
        PaymentStatus.EXPIRED, completed_at=NOW, attempt=an_attempt(AttemptStatus.PAID)
    ),
}


@pytest.mark.parametrize("payment", WITHOUT_INQUIRY.values(), ids=WITHOUT_INQUIRY)
def test_these_payments_need_no_inquiry(payment: Payment) -> None:
    assert schedule_of(payment, revocable=False) == []


def test_every_moment_is_utc() -> None:
    question = next_inquiry(unanswered(AttemptStatus.UNKNOWN), quota=M, revocable=True)
    assert question is not None
    assert question.at.tzinfo is UTC


# ── while a client watches ───────────────────────────────────────────────────────────────────────


def watched_times(*, quota: timedelta, joined: timedelta = timedelta(0)) -> list[timedelta]:
    """Return the inquiries about an unpaid open QR that a client watches from *joined* on."""
    payment = a_payment(
        attempt=an_attempt(AttemptStatus.ACCEPTED, expires_at=EXPIRY, answered_at=NOW),
        expires_at=EXPIRY,
    )
    times: list[timedelta] = []
    now = NOW + joined
    while (at := next_while_watched(payment, quota=quota, now=now)) is not None:
        assert at >= now
        times.append(at - NOW)
        assert payment.attempt is not None
        payment = replace(payment, attempt=replace(payment.attempt, inquired_at=at))
        now = at
    return times


def test_a_watched_qr_is_inquired_about_soon_then_every_15_seconds() -> None:
    times = watched_times(quota=3 * S)
    assert times[:5] == [3 * S, 6 * S, 12 * S, 27 * S, 42 * S]
    assert {later - earlier for earlier, later in pairwise(times[2:])} == {15 * S}
    assert 15 * M - 15 * S <= times[-1] < 15 * M


def test_a_watcher_that_comes_back_causes_an_inquiry_at_once_and_then_the_same_steps() -> None:
    assert watched_times(quota=3 * S, joined=200 * S)[:3] == [200 * S, 207 * S, 222 * S]


def test_vnpay_is_inquired_only_after_five_minutes_and_in_time_for_the_end() -> None:
    assert watched_times(quota=300 * S) == [300 * S]
    assert watched_times(quota=300 * S, joined=599 * S) == [599 * S]
    assert watched_times(quota=300 * S, joined=600 * S) == []


@given(st.timedeltas(timedelta(0), timedelta(hours=1)), st.timedeltas(timedelta(0), 15 * M))
def test_two_inquiries_of_watchers_are_a_quota_apart(quota: timedelta, joined: timedelta) -> None:
    times = watched_times(quota=quota, joined=joined)
    assert all(later - earlier >= quota for earlier, later in pairwise(times))
    if quota > 15 * S:
        assert all(15 * M - at > quota for at in times), "the inquiry at the end need not wait"


NOT_FOR_WATCHERS = WITHOUT_INQUIRY | {
    "never sent": a_payment(PaymentStatus.PENDING, attempt=an_attempt(AttemptStatus.CREATED)),
    "being sent": a_payment(attempt=an_attempt(AttemptStatus.SENT)),
    "unknown": a_payment(attempt=an_attempt(AttemptStatus.UNKNOWN)),
    "held, and open": a_payment(
        hold_reason=HoldReason.AMOUNT_MISMATCH,
        attempt=an_attempt(AttemptStatus.ACCEPTED, answered_at=NOW),
    ),
}


@pytest.mark.parametrize("payment", NOT_FOR_WATCHERS.values(), ids=NOT_FOR_WATCHERS)
def test_watching_these_payments_causes_no_inquiry(payment: Payment) -> None:
    assert next_while_watched(payment, quota=3 * S, now=NOW + M) is None
