"""When to ask a gateway: a payment's life, walked by moving the clock."""

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
from domain.payment_inquiry import GIVE_UP, SENDING, next_question, next_while_watched
from domain.payments import HoldReason, Payment, PaymentStatus
from tests.support.builders import NOW, a_payment, an_attempt

S, M, H, D = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
# 5 s, 15 s, 1, 5, 15 min, 1 h, hourly to 24 h, daily to 7 days.
SCHEDULE = [5 * S, 15 * S, M, 5 * M, 15 * M, *(n * H for n in range(1, 25)), *(n * D for n in range(2, 8))]  # fmt: skip
EXPIRY = NOW + 15 * M


def life(
    payment: Payment, *, quota: timedelta = timedelta(0), revocable: bool = True
) -> list[tuple[timedelta, Closing | None]]:
    """Return when each question is asked, counted from NOW, where each is met with silence."""
    asked: list[tuple[timedelta, Closing | None]] = []
    while question := next_question(payment, quota=quota, revocable=revocable):
        asked.append((question.at - NOW, question.closing))
        assert payment.attempt is not None
        payment = replace(payment, attempt=replace(payment.attempt, inquired_at=question.at))
        assert len(asked) < 200, "the questions never end"
    return asked


def unanswered(status: AttemptStatus) -> Payment:
    return a_payment(attempt=an_attempt(status, expires_at=EXPIRY), expires_at=EXPIRY)


def test_a_silent_gateway_is_asked_by_the_table_for_seven_days() -> None:
    asked = [at for at, _ in life(unanswered(AttemptStatus.UNKNOWN))]
    within = [at for at in asked if at <= GIVE_UP]
    assert within == SCHEDULE
    assert asked[-1] <= GIVE_UP + 15 * M


def test_a_call_whose_process_died_is_asked_about_after_the_time_it_had() -> None:
    asked = [at for at, _ in life(unanswered(AttemptStatus.SENT))]
    assert asked[: len(SCHEDULE)] == [SENDING + delay for delay in SCHEDULE]


def test_a_payment_is_ended_only_by_a_question_at_or_after_its_expiry() -> None:
    for status in (AttemptStatus.SENT, AttemptStatus.UNKNOWN, AttemptStatus.ACCEPTED):
        for at, closing in life(unanswered(status)):
            assert closing is (Closing.EXPIRED if NOW + at >= EXPIRY else None)


def test_an_open_qr_is_asked_about_at_its_expiry_and_on_while_nobody_answers() -> None:
    asked = [at for at, _ in life(unanswered(AttemptStatus.ACCEPTED))]
    assert asked == [15 * M, *(15 * M + delay for delay in SCHEDULE)]


@given(st.timedeltas(timedelta(0), timedelta(days=1)))
def test_two_questions_never_come_within_the_gateways_quota(quota: timedelta) -> None:
    for status in (AttemptStatus.SENT, AttemptStatus.UNKNOWN, AttemptStatus.ACCEPTED):
        asked = [at for at, _ in life(unanswered(status), quota=quota)]
        assert all(later - item >= quota for item, later in pairwise(asked))


def test_vnpay_is_asked_every_five_minutes_at_most() -> None:
    asked = [at for at, _ in life(unanswered(AttemptStatus.UNKNOWN), quota=300 * S)]
    assert asked[:3] == [5 * S, 305 * S, 15 * M]


@pytest.mark.parametrize("status", [PaymentStatus.EXPIRED, PaymentStatus.CANCELLED])
@pytest.mark.parametrize(
    ("ended", "watched"),
    [
        ("2026-03-04T05:00:00Z", ["05:05", "06:00", "17:00"]),
        ("2026-03-04T16:57:00Z", ["17:02", "17:57"]),
        ("2026-03-04T17:00:00Z", ["17:05", "18:00", "17:00"]),
    ],
    ids=["by day", "at its end", "at its beginning"],
)
def test_a_reference_that_cannot_be_revoked_is_watched_to_the_end_of_the_day(
    status: PaymentStatus, ended: str, watched: list[str]
) -> None:
    payment = a_payment(
        status,
        completed_at=datetime.fromisoformat(ended),
        attempt=an_attempt(AttemptStatus(status)),
    )
    asked = [f"{NOW + at:%H:%M}" for at, _ in life(payment, revocable=False)]
    assert asked == watched
    assert all(closing is None for _, closing in life(payment, revocable=False))
    assert life(payment, revocable=True) == []


def test_a_promise_that_was_never_sent_is_settled_once_sending_had_its_time() -> None:
    payment = a_payment(PaymentStatus.PENDING, attempt=an_attempt(AttemptStatus.CREATED))
    question = next_question(payment, quota=300 * S, revocable=False)
    assert question is not None
    assert (question.at, question.closing) == (NOW + SENDING, None)


NOTHING_TO_ASK = {
    "cash": a_payment(PaymentStatus.SUCCESS, method=PaymentMethod.CASH),
    "a success": a_payment(PaymentStatus.SUCCESS, attempt=an_attempt(AttemptStatus.PAID)),
    "a failure": a_payment(PaymentStatus.FAILED, attempt=an_attempt(AttemptStatus.DECLINED)),
    "held for people": a_payment(hold_reason=HoldReason.AMOUNT_MISMATCH),
    "late money in a case": a_payment(
        PaymentStatus.EXPIRED, completed_at=NOW, attempt=an_attempt(AttemptStatus.PAID)
    ),
}


@pytest.mark.parametrize("payment", NOTHING_TO_ASK.values(), ids=NOTHING_TO_ASK)
def test_nothing_is_asked_about(payment: Payment) -> None:
    assert life(payment, revocable=False) == []


def test_every_moment_is_utc() -> None:
    question = next_question(unanswered(AttemptStatus.UNKNOWN), quota=M, revocable=True)
    assert question is not None
    assert question.at.tzinfo is UTC


# ── while a client watches ───────────────────────────────────────────────────────────────────────


def watched(*, quota: timedelta, joined: timedelta = timedelta(0)) -> list[timedelta]:
    """Return when an open QR is asked about that a client watches from *joined* on, unpaid throughout."""
    payment = a_payment(
        attempt=an_attempt(AttemptStatus.ACCEPTED, expires_at=EXPIRY, answered_at=NOW),
        expires_at=EXPIRY,
    )
    asked: list[timedelta] = []
    now = NOW + joined
    while (at := next_while_watched(payment, quota=quota, now=now)) is not None:
        assert at >= now
        asked.append(at - NOW)
        assert payment.attempt is not None
        payment = replace(payment, attempt=replace(payment.attempt, inquired_at=at))
        now = at
    return asked


def test_a_watched_qr_is_asked_about_soon_then_every_15_seconds_until_its_end() -> None:
    asked = watched(quota=3 * S)
    assert asked[:5] == [3 * S, 6 * S, 12 * S, 27 * S, 42 * S]
    assert {later - item for item, later in pairwise(asked[2:])} == {15 * S}
    assert 15 * M - 15 * S <= asked[-1] < 15 * M


def test_who_comes_back_to_a_qr_has_it_asked_about_at_once_and_then_by_the_same_steps() -> None:
    assert watched(quota=3 * S, joined=200 * S)[:3] == [200 * S, 207 * S, 222 * S]


def test_vnpay_is_not_asked_in_the_first_five_minutes_and_keeps_the_question_at_the_end() -> None:
    assert watched(quota=300 * S) == [300 * S]
    assert watched(quota=300 * S, joined=599 * S) == [599 * S]
    assert watched(quota=300 * S, joined=600 * S) == []


@given(st.timedeltas(timedelta(0), timedelta(hours=1)), st.timedeltas(timedelta(0), 15 * M))
def test_two_questions_of_watchers_never_come_within_the_gateways_quota(
    quota: timedelta, joined: timedelta
) -> None:
    asked = watched(quota=quota, joined=joined)
    assert all(later - item >= quota for item, later in pairwise(asked))
    if quota > 15 * S:
        assert all(15 * M - at > quota for at in asked), "the question at its end need not wait"


NOT_FOR_WATCHERS = NOTHING_TO_ASK | {
    "never sent": a_payment(PaymentStatus.PENDING, attempt=an_attempt(AttemptStatus.CREATED)),
    "being sent": a_payment(attempt=an_attempt(AttemptStatus.SENT)),
    "unknown": a_payment(attempt=an_attempt(AttemptStatus.UNKNOWN)),
    "held, and open": a_payment(
        hold_reason=HoldReason.AMOUNT_MISMATCH,
        attempt=an_attempt(AttemptStatus.ACCEPTED, answered_at=NOW),
    ),
}


@pytest.mark.parametrize("payment", NOT_FOR_WATCHERS.values(), ids=NOT_FOR_WATCHERS)
def test_watching_asks_nothing_about(payment: Payment) -> None:
    assert next_while_watched(payment, quota=3 * S, now=NOW + M) is None
