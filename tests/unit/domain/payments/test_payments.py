"""The states of a payment: every pair, and what each move changes."""

from __future__ import annotations

from itertools import product

import pytest

from domain.methods import PaymentMethod
from domain.payments import (
    Custody,
    HoldReason,
    PaymentStatus,
    PostingStatus,
    TransitionRefused,
)
from tests.support.builders import LATER, NOW, a_payment

# from → to; `late` is a move by `succeed_late` alone.
MOVES = """
             PENDING PROCESSING SUCCESS FAILED EXPIRED CANCELLED
PENDING      no      yes        yes     yes    no      yes
PROCESSING   no      no         yes     yes    yes     yes
SUCCESS      no      no         no      no     no      no
FAILED       no      no         late    no     no      no
EXPIRED      no      no         late    no     no      no
CANCELLED    no      no         late    no     no      no
"""


def moves() -> dict[tuple[PaymentStatus, PaymentStatus], str]:
    heading, *lines = (line.split() for line in MOVES.strip().splitlines())
    return {
        (PaymentStatus(line[0]), PaymentStatus(to)): cell
        for line in lines
        for to, cell in zip(heading, line[1:], strict=True)
    }


@pytest.mark.parametrize(("start", "end"), list(product(PaymentStatus, repeat=2)))
def test_a_payment_moves_only_as_the_table_says(start: PaymentStatus, end: PaymentStatus) -> None:
    payment = a_payment(start)
    if moves()[start, end] != "yes":
        with pytest.raises(TransitionRefused) as caught:
            payment.become(end, LATER)
        assert caught.value.details == {"payment_id": "TXN_1", "status": start, "wanted": end}
        return
    moved = payment.become(end, LATER)
    assert (moved.status, moved.version, moved.updated_at) == (end, payment.version + 1, LATER)
    assert not moved.late


@pytest.mark.parametrize("start", PaymentStatus)
def test_succeed_late_corrects_only_an_end_without_success(start: PaymentStatus) -> None:
    payment = a_payment(start)
    if moves()[start, PaymentStatus.SUCCESS] != "late":
        with pytest.raises(TransitionRefused):
            payment.succeed_late(LATER)
        return
    corrected = payment.succeed_late(LATER)
    assert (corrected.status, corrected.late) == (PaymentStatus.SUCCESS, True)
    assert (corrected.version, corrected.completed_at) == (payment.version + 1, LATER)


@pytest.mark.parametrize("method", PaymentMethod)
@pytest.mark.parametrize(("start", "end"), [pair for pair, cell in moves().items() if cell != "no"])
def test_only_a_success_is_to_be_recorded_and_only_cash_is_held_by_staff(
    start: PaymentStatus, end: PaymentStatus, method: PaymentMethod
) -> None:
    payment = a_payment(start, method=method)
    late = payment.is_final
    moved = payment.succeed_late(LATER) if late else payment.become(end, LATER)
    success = end is PaymentStatus.SUCCESS
    assert moved.posting_status is (PostingStatus.PENDING if success else PostingStatus.NONE)
    held = success and method is PaymentMethod.CASH
    assert moved.custody is (Custody.HELD_BY_STAFF if held else None)


def test_an_end_clears_the_hold_and_the_flag() -> None:
    waiting = a_payment(needs_verification=True, hold_reason=HoldReason.AMOUNT_MISMATCH)
    for end in (PaymentStatus.SUCCESS, PaymentStatus.CANCELLED):
        ended = waiting.become(end, LATER)
        assert (ended.needs_verification, ended.hold_reason) == (False, None)
        assert ended.completed_at == LATER
    assert waiting.completed_at is None


def test_noted_is_a_new_version_in_the_same_status() -> None:
    payment = a_payment()
    noted = payment.updated(LATER, needs_verification=True)
    assert (noted.version, noted.status) == (payment.version + 1, payment.status)
    assert (noted.needs_verification, noted.updated_at) == (True, LATER)
    assert payment.updated_at == NOW


def test_a_qr_is_shown_only_while_the_payment_is_open() -> None:
    payment = a_payment()
    assert payment.attempt is not None
    for status in PaymentStatus:
        shown = a_payment(status, attempt=payment.attempt)
        assert (shown.qr_payload is None) or not shown.is_final
