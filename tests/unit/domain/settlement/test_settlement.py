"""Settlement lines: how each compares with what we have, and which are evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from domain.attempts import AttemptStatus
from domain.cases import CaseKind
from domain.money import Currency, Money
from domain.payments import PaymentStatus
from domain.reconciliation import (
    ReconciliationLine,
    disputed_amount,
    reconciliation_line,
    repeated_by,
)
from domain.settlement import (
    EXPLAINING_KINDS,
    Line,
    LineKind,
    OurPayment,
    OurRefund,
    SettlementResult,
    is_new_evidence,
    proves_refund,
    refund_of,
)
from tests.support.builders import an_attempt

AT = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)


def a_line(kind: LineKind = LineKind.PAYMENT, amount: int = 200_000, **but: Any) -> Line:
    return Line(
        **{
            "number": 2,
            "kind": kind,
            "reference": "MB0001",
            "gateway_id": "G1",
            "money": Money(amount),
            "at": AT,
        }
        | but
    )


def a_payment_of_ours(**but: Any) -> OurPayment:
    return OurPayment(
        **{
            "payment_id": "TXN_1",
            "status": PaymentStatus.SUCCESS,
            "requested": Money(200_000),
            "arrived": Money(200_000),
            "paid_under": ("G1",),
        }
        | but
    )


def a_refund(id: str = "REV_1", amount: int = 50_000, **but: Any) -> OurRefund:
    return OurRefund(
        **{"reversal_id": id, "requested": Money(amount), "gateway_id": None, "done": True} | but
    )


def compared(line: Line, *earlier: ReconciliationLine, **ours: Any) -> ReconciliationLine:
    given = {"payment": None, "refund": None} | ours
    return reconciliation_line(
        line, given["payment"], given["refund"], earlier, settlement_id="SET_1"
    )


def test_a_line_counts_to_the_vietnamese_day() -> None:
    assert a_line().day == date(2026, 3, 5)


@pytest.mark.parametrize(
    ("ours", "result"),
    [
        (a_payment_of_ours(), SettlementResult.MATCHED),
        (a_payment_of_ours(arrived=Money(200_001)), SettlementResult.AMOUNT_DIFFERS),
        (a_payment_of_ours(arrived=Money(200_000, Currency.USD)), SettlementResult.AMOUNT_DIFFERS),
        (
            a_payment_of_ours(status=PaymentStatus.FAILED, arrived=None),
            SettlementResult.THEIRS_ONLY,
        ),
        (None, SettlementResult.THEIRS_ONLY),
    ],
    ids=["the same", "another sum", "another currency", "nothing came", "unknown"],
)
def test_a_line_of_a_payment_is_compared_with_our_payment(
    ours: OurPayment | None, result: SettlementResult
) -> None:
    assert compared(a_line(), payment=ours).result is result


def test_decided_money_is_compared_by_what_arrived() -> None:
    """Too little came and was credited, so the gateway's sum equals the ledger's."""
    decided = a_payment_of_ours(status=PaymentStatus.CANCELLED, arrived=Money(150_000))
    assert compared(a_line(amount=150_000), payment=decided).result is SettlementResult.MATCHED
    waiting = replace(decided, status=PaymentStatus.PROCESSING, explained_by="CASE_1")
    differing = compared(a_line(amount=150_000), payment=waiting)
    assert (differing.result, differing.case_id) == (SettlementResult.AMOUNT_DIFFERS, "CASE_1")


def test_an_open_case_of_a_success_does_not_hide_a_difference() -> None:
    ours = a_payment_of_ours(explained_by="CASE_1", paid_twice="CASE_2")
    assert compared(a_line(amount=1), payment=ours).case_id is None
    again = compared(a_line(), compared(a_line(), payment=ours), payment=ours)
    assert (again.result, again.case_id) == (SettlementResult.DUPLICATE, None)


def test_neither_a_refused_record_nor_an_unknown_refund_explains_a_payments_money() -> None:
    assert EXPLAINING_KINDS.isdisjoint({CaseKind.RECORD_REFUSED, CaseKind.REFUND_UNKNOWN})


def test_a_paid_twice_case_explains_only_the_numbers_that_are_booked() -> None:
    ours = a_payment_of_ours(paid_under=("G1", "G2"), paid_twice="CASE_2")
    first = compared(a_line(), payment=ours)
    assert compared(a_line(gateway_id="G2"), first, payment=ours).case_id == "CASE_2"
    assert compared(a_line(gateway_id="G3"), first, payment=ours).case_id is None


def test_a_line_completes_one_that_only_we_had_with_its_case() -> None:
    only_ours = replace(
        compared(a_line(), payment=a_payment_of_ours()),
        id=7,
        day=date(2026, 3, 6),
        reported_amount=None,
        result=SettlementResult.OURS_ONLY,
        case_id="CASE_1",
    )
    completed = compared(a_line(), only_ours, payment=a_payment_of_ours())
    assert (completed.id, completed.result, completed.case_id, completed.day) == (
        7,
        SettlementResult.MATCHED,
        "CASE_1",
        date(2026, 3, 5),
    )


# ── refunds ──────────────────────────────────────────────────────────────────────────────────────

REFUND = a_line(LineKind.REFUND, 50_000, gateway_id="R1")


def test_a_refund_is_found_by_its_number_before_its_sum() -> None:
    same_sum, same_number = a_refund("REV_1"), a_refund("REV_2", 70_000, gateway_id="R1")
    assert refund_of(REFUND, [same_sum, same_number]) is same_number


def test_a_refund_without_a_number_is_found_by_its_sum_once() -> None:
    settled, open_ = a_refund("REV_1", settled=True), a_refund("REV_2")
    assert refund_of(REFUND, [settled, open_]) is open_
    assert refund_of(REFUND, [settled]) is None


def test_the_only_refund_left_is_found_even_if_its_sum_differs() -> None:
    ours = a_refund(amount=70_000)
    assert refund_of(REFUND, [ours, a_refund("REV_2", 80_000, failed=True)]) is ours
    assert refund_of(REFUND, [ours, a_refund("REV_2", 80_000)]) is None


def test_a_failed_refund_is_found_if_no_other_of_its_sum_is_left() -> None:
    failed, done = a_refund("REV_1", done=False, failed=True), a_refund("REV_2")
    assert refund_of(REFUND, [failed, done]) is done
    assert refund_of(REFUND, [failed, replace(done, settled=True)]) is failed
    assert refund_of(REFUND, [failed, a_refund("REV_2", 70_000)]) is failed
    assert refund_of(REFUND, [replace(failed, settled=True)]) is None
    assert refund_of(REFUND, [a_refund("REV_1", 70_000, done=False, failed=True)]) is None


@pytest.mark.parametrize(
    ("ours", "result"),
    [
        (a_refund(), SettlementResult.MATCHED),
        (a_refund(amount=70_000), SettlementResult.AMOUNT_DIFFERS),
        (a_refund(done=False), SettlementResult.THEIRS_ONLY),
        (a_refund(settled=True, gateway_id="R1"), SettlementResult.DUPLICATE),
        (None, SettlementResult.THEIRS_ONLY),
    ],
    ids=["the same", "another sum", "not done here", "again", "unknown"],
)
def test_a_line_of_a_refund_is_compared_with_our_refund(
    ours: OurRefund | None, result: SettlementResult
) -> None:
    assert compared(REFUND, payment=a_payment_of_ours(), refund=ours).result is result


def test_a_repeated_line_is_about_a_refund_that_is_done() -> None:
    unsure, done = a_refund("REV_1", done=False, unsure=True), a_refund("REV_2")
    failed = a_refund("REV_3", done=False, failed=True)
    assert refund_of(REFUND, [unsure, failed, done]) is unsure
    assert refund_of(REFUND, [unsure, failed, done], repeated=True) is done
    assert refund_of(REFUND, [unsure, failed], repeated=True) is None
    named = replace(unsure, gateway_id="R1")
    assert refund_of(REFUND, [failed, named], repeated=True) is named, "by its own number"


def test_the_line_nearest_in_time_is_repeated_and_each_line_once() -> None:
    payment, precise = a_payment_of_ours(), AT.replace(second=7)
    first = replace(
        compared(a_line(at=precise.replace(second=0, microsecond=0)), payment=payment), id=1
    )
    second = replace(compared(a_line(at=precise), payment=payment), id=2)
    assert repeated_by(a_line(at=precise), [first, second], ()) is second
    assert repeated_by(a_line(at=precise), [first, second], {2}) is first
    assert repeated_by(a_line(at=precise), [first, second], {1, 2}) is None


def test_an_unknown_refund_is_a_duplicate_when_it_comes_again() -> None:
    first = compared(REFUND)
    assert compared(REFUND, first).result is SettlementResult.DUPLICATE
    other = a_line(LineKind.REFUND, 50_000, gateway_id="R2")
    assert compared(other, first).result is SettlementResult.THEIRS_ONLY


def test_a_line_proves_a_refund_that_is_unsure_or_failed() -> None:
    assert proves_refund(REFUND, a_refund(done=False, unsure=True))
    assert not proves_refund(REFUND, a_refund(amount=70_000, done=False, unsure=True))
    assert not proves_refund(REFUND, a_refund())
    assert proves_refund(REFUND, a_refund(done=False, failed=True)), "it was paid after all"


def test_a_stored_line_has_the_movement_of_the_file_or_none() -> None:
    line = compared(a_line(), payment=a_payment_of_ours())
    assert line.movement == a_line().movement
    assert replace(line, reported_amount=None).movement is None


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "status", [status for status in AttemptStatus if status is not AttemptStatus.PAID]
)
def test_a_line_is_evidence_about_every_attempt_that_is_not_paid(status: AttemptStatus) -> None:
    assert is_new_evidence(a_line(), an_attempt(status), [])


@pytest.mark.parametrize(
    ("number", "earlier_numbers", "expected"),
    [
        ("G1", [], False),
        ("G2", [], False),
        ("G2", ["G1"], True),
        ("G2", ["S1"], False),
        (None, ["G1"], False),
        ("G1", ["G2"], False),
    ],
)
def test_a_line_is_evidence_about_a_paid_attempt_only_with_a_second_number(
    number: str | None, earlier_numbers: list[str], expected: bool
) -> None:
    paid = an_attempt(AttemptStatus.PAID, gateway_id="G1")
    assert is_new_evidence(a_line(gateway_id=number), paid, earlier_numbers) is expected


# ── cases ─────────────────────────────────────────────────────────────────────────────


def test_a_case_is_about_the_difference_or_the_whole_sum() -> None:
    assert disputed_amount(compared(a_line(amount=1), payment=a_payment_of_ours())) == 199_999
    assert disputed_amount(compared(a_line(amount=5))) == 5
    usd = a_line(money=Money(8, Currency.USD))
    assert disputed_amount(compared(usd, payment=a_payment_of_ours())) is None
