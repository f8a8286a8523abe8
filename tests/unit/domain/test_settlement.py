"""A gateway's line beside what we have: what it is, and whether it tells us anything."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from domain.attempts import AttemptStatus
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payments import PaymentStatus
from domain.reconciliation import (
    Reconciliation,
    ReconciliationCounts,
    ReconciliationLine,
    beside,
    in_question,
    repeated_by,
)
from domain.settlement import (
    Line,
    LineKind,
    OurPayment,
    OurRefund,
    SettlementResult,
    refund_of,
    tells_of_money,
    tells_of_refund,
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
            "asked": Money(200_000),
            "arrived": Money(200_000),
            "paid_under": ("G1",),
        }
        | but
    )


def a_refund(id: str = "REV_1", amount: int = 50_000, **but: Any) -> OurRefund:
    return OurRefund(
        **{"reversal_id": id, "asked": Money(amount), "gateway_id": None, "done": True} | but
    )


def kept(line: Line, *earlier: ReconciliationLine, **ours: Any) -> ReconciliationLine:
    given = {"payment": None, "refund": None} | ours
    return beside(line, given["payment"], given["refund"], earlier, settlement_id="SET_1")


def test_a_line_counts_to_the_vietnamese_day() -> None:
    assert a_line().day == date(2026, 3, 5)


@pytest.mark.parametrize(
    ("ours", "result"),
    [
        (a_payment_of_ours(), SettlementResult.MATCHED),
        (a_payment_of_ours(arrived=Money(200_001)), SettlementResult.AMOUNT_DIFFERS),
        (a_payment_of_ours(arrived=Money(200_000, Currency.USD)), SettlementResult.AMOUNT_DIFFERS),
        (a_payment_of_ours(status=PaymentStatus.FAILED, arrived=None), SettlementResult.THEIRS_ONLY),
        (None, SettlementResult.THEIRS_ONLY),
    ],
    ids=["the same", "another sum", "another currency", "nothing came", "unknown"],
)  # fmt: skip
def test_a_payment_beside_what_we_have(ours: OurPayment | None, result: SettlementResult) -> None:
    assert kept(a_line(), payment=ours).result is result


def test_money_that_people_have_decided_is_what_arrived() -> None:
    """Too little came, and two people gave it back as credit: the gateway's sum is the ledger's."""
    decided = a_payment_of_ours(status=PaymentStatus.CANCELLED, arrived=Money(150_000))
    assert kept(a_line(amount=150_000), payment=decided).result is SettlementResult.MATCHED
    waiting = replace(decided, status=PaymentStatus.PROCESSING, explained_by="CASE_1")
    compared = kept(a_line(amount=150_000), payment=waiting)
    assert (compared.result, compared.case_id) == (SettlementResult.AMOUNT_DIFFERS, "CASE_1")


def test_an_open_case_of_a_success_does_not_hide_a_difference() -> None:
    ours = a_payment_of_ours(explained_by="CASE_1", paid_twice="CASE_2")
    assert kept(a_line(amount=1), payment=ours).case_id is None
    again = kept(a_line(), kept(a_line(), payment=ours), payment=ours)
    assert (again.result, again.case_id) == (SettlementResult.DUPLICATE, None)


def test_only_what_was_booked_as_paid_twice_is_explained_by_that_case() -> None:
    ours = a_payment_of_ours(paid_under=("G1", "G2"), paid_twice="CASE_2")
    first = kept(a_line(), payment=ours)
    assert kept(a_line(gateway_id="G2"), first, payment=ours).case_id == "CASE_2"
    assert kept(a_line(gateway_id="G3"), first, payment=ours).case_id is None


def test_a_line_completes_what_only_we_knew_and_keeps_its_case() -> None:
    only_ours = replace(
        kept(a_line(), payment=a_payment_of_ours()),
        id=7,
        day=date(2026, 3, 6),
        theirs=None,
        result=SettlementResult.OURS_ONLY,
        case_id="CASE_1",
    )
    completed = kept(a_line(), only_ours, payment=a_payment_of_ours())
    assert (completed.id, completed.result, completed.case_id, completed.day) == (
        7, SettlementResult.MATCHED, "CASE_1", date(2026, 3, 5),
    )  # fmt: skip


# ── refunds ──────────────────────────────────────────────────────────────────────────────────────

REFUND = a_line(LineKind.REFUND, 50_000, gateway_id="R1")


def test_a_refund_is_found_by_its_number_before_its_sum() -> None:
    one, other = a_refund("REV_1"), a_refund("REV_2", 70_000, gateway_id="R1")
    assert refund_of(REFUND, [one, other]) is other


def test_a_refund_without_a_number_is_found_by_its_sum_and_taken_once() -> None:
    one, other = a_refund("REV_1", settled=True), a_refund("REV_2")
    assert refund_of(REFUND, [one, other]) is other
    assert refund_of(REFUND, [one]) is None


def test_the_only_refund_left_is_meant_even_where_the_sum_differs() -> None:
    ours = a_refund(amount=70_000)
    assert refund_of(REFUND, [ours, a_refund("REV_2", 80_000, failed=True)]) is ours
    assert refund_of(REFUND, [ours, a_refund("REV_2", 80_000)]) is None


def test_a_refund_that_failed_is_meant_where_no_other_of_its_sum_is_left() -> None:
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
def test_a_refund_beside_what_we_have(ours: OurRefund | None, result: SettlementResult) -> None:
    assert kept(REFUND, payment=a_payment_of_ours(), refund=ours).result is result


def test_a_line_that_comes_again_is_about_no_refund_but_one_that_is_done() -> None:
    unsure, done = a_refund("REV_1", done=False, unsure=True), a_refund("REV_2")
    failed = a_refund("REV_3", done=False, failed=True)
    assert refund_of(REFUND, [unsure, failed, done]) is unsure
    assert refund_of(REFUND, [unsure, failed, done], again=True) is done
    assert refund_of(REFUND, [unsure, failed], again=True) is None
    named = replace(unsure, gateway_id="R1")
    assert refund_of(REFUND, [failed, named], again=True) is named, "by its own number"


def test_of_several_lines_the_one_nearest_in_time_is_repeated_and_each_once() -> None:
    payment = a_payment_of_ours()
    first = replace(kept(a_line(at=NOON.replace(second=0, microsecond=0)), payment=payment), id=1)
    second = replace(kept(a_line(at=NOON), payment=payment), id=2)
    assert repeated_by(a_line(at=NOON), [first, second], ()) is second
    assert repeated_by(a_line(at=NOON), [first, second], {2}) is first
    assert repeated_by(a_line(at=NOON), [first, second], {1, 2}) is None


def test_a_refund_that_we_do_not_know_is_a_duplicate_when_it_comes_again() -> None:
    first = kept(REFUND)
    assert kept(REFUND, first).result is SettlementResult.DUPLICATE
    other = a_line(LineKind.REFUND, 50_000, gateway_id="R2")
    assert kept(other, first).result is SettlementResult.THEIRS_ONLY


def test_a_refund_of_which_we_heard_nothing_is_settled_by_its_line_and_no_other_is() -> None:
    assert tells_of_refund(REFUND, a_refund(done=False, unsure=True))
    assert not tells_of_refund(REFUND, a_refund(amount=70_000, done=False, unsure=True))
    assert not tells_of_refund(REFUND, a_refund())
    assert tells_of_refund(REFUND, a_refund(done=False, failed=True)), "it was made after all"


# ── the same line once more ──────────────────────────────────────────────────────────────────────

NOON = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)  # in Vietnam


@pytest.mark.parametrize(
    ("item", "other"),
    [
        (NOON, NOON),
        (NOON, NOON.replace(microsecond=0)),
        (NOON, NOON.replace(second=0, microsecond=0)),
        (NOON, NOON.replace(second=8, microsecond=0)),
        (NOON, NOON.replace(minute=7, second=0, microsecond=0)),
        (NOON.replace(second=59), NOON.replace(second=0, microsecond=0)),
        (NOON.replace(second=0, microsecond=0), NOON.replace(minute=7, second=0, microsecond=0)),
    ],
    ids=["equal", "to the second", "to the minute", "up to the second", "up", "nearly one", "both"],
)
def test_a_time_that_differs_by_its_rounding_is_the_same(item: datetime, other: datetime) -> None:
    first, second = a_line(at=item).movement, a_line(at=other).movement
    assert first.repeats(second)
    assert second.repeats(first)


@pytest.mark.parametrize(
    ("item", "other"),
    [
        (NOON, NOON + timedelta(seconds=1)),
        (NOON.replace(second=7), NOON.replace(second=37)),
        (NOON, NOON.replace(minute=8, second=0, microsecond=0)),
        (NOON.replace(second=0, microsecond=0), NOON.replace(minute=8, second=0, microsecond=0)),
        (MIDNIGHT - timedelta(seconds=20), MIDNIGHT),
        (NOON, NOON + timedelta(days=1)),
        (NOON, NOON.replace(hour=0, minute=0, second=0, microsecond=0)),
    ],
    ids=[
        "a second",
        "within",
        "a minute",
        "two whole minutes",
        "over midnight",
        "a day",
        "day only",
    ],
)
def test_a_time_that_differs_by_more_is_another(item: datetime, other: datetime) -> None:
    assert not a_line(at=item).movement.repeats(a_line(at=other).movement)


@pytest.mark.parametrize(
    "but",
    [
        {"kind": LineKind.REFUND},
        {"reference": "MB0002"},
        {"gateway_id": "G2"},
        {"gateway_id": None},
        {"money": Money(199_999)},
        {"money": Money(200_000, Currency.USD)},
    ],
    ids=["kind", "reference", "number", "no number", "sum", "currency"],
)
def test_kind_reference_number_and_sum_are_the_same_or_it_is_another(but: dict[str, Any]) -> None:
    assert not a_line().movement.repeats(a_line(**but).movement)


def test_what_is_kept_of_a_line_is_repeated_by_it_and_what_only_we_know_by_none() -> None:
    compared = kept(a_line(), payment=a_payment_of_ours())
    assert compared.movement == a_line().movement
    assert replace(compared, theirs=None).movement is None


# ── evidence ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "status", [item for item in AttemptStatus if item is not AttemptStatus.PAID]
)
def test_of_what_is_not_paid_a_line_is_always_evidence(status: AttemptStatus) -> None:
    assert tells_of_money(a_line(), an_attempt(status), [])


@pytest.mark.parametrize(
    ("number", "settled_under", "tells"),
    [
        ("G1", [], False),
        ("G2", [], False),
        ("G2", ["G1"], True),
        ("G2", ["S1"], False),
        (None, ["G1"], False),
        ("G1", ["G2"], False),
    ],
)
def test_of_what_is_paid_only_another_number_beside_the_known_one_is(
    number: str | None, settled_under: list[str], tells: bool
) -> None:
    paid = an_attempt(AttemptStatus.PAID, gateway_id="G1")
    assert tells_of_money(a_line(gateway_id=number), paid, settled_under) is tells


# ── what a case is about, and a day ──────────────────────────────────────────────────────────────


def test_a_case_is_about_the_difference_or_about_all_of_it() -> None:
    assert in_question(kept(a_line(amount=1), payment=a_payment_of_ours())) == 199_999
    assert in_question(kept(a_line(amount=5))) == 5
    usd = a_line(money=Money(8, Currency.USD))
    assert in_question(kept(usd, payment=a_payment_of_ours())) is None


@pytest.mark.parametrize(
    ("imported", "open_cases", "counts", "status"),
    [
        (False, 0, {}, "NOT_IMPORTED"),
        (True, 0, {}, "MATCHED"),
        (True, 0, {"matched": 3}, "MATCHED"),
        (True, 1, {"matched": 3}, "DIFFERENCES"),
        (True, 1, {"theirs_only": 1}, "DIFFERENCES"),
        (True, 0, {"matched": 3, "duplicate": 1}, "RESOLVED"),
    ],
)
def test_a_day_is_done_once_all_matches_or_people_have_decided(
    imported: bool, open_cases: int, counts: dict[str, int], status: str
) -> None:
    day = Reconciliation(
        gateway=GatewayName.VNPAY,
        date=date(2026, 3, 5),
        imported=imported,
        open_cases=open_cases,
        counts=ReconciliationCounts(**counts),
    )
    assert day.status == status
