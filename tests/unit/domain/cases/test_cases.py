"""Cases: which votes count, which decisions a kind allows, and what the books imply."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.cases import (
    EFFECTS,
    VOTE_LIFETIME,
    AlreadyResolved,
    Approval,
    Case,
    CaseDecision,
    CaseKind,
    CaseStatus,
    PaymentBooks,
    Step,
    about_money,
)
from domain.money import Currency, Money
from domain.payments import PaymentStatus
from domain.refusals import InvalidInput, NotPermitted
from domain.staff import ROLES_FOR, Operation
from tests.support.builders import NOW

APPLY, CREDIT, REFUND, CLOSE = CaseDecision


def a_case(kind: CaseKind = CaseKind.AMOUNT_MISMATCH, **but: Any) -> Case:
    return Case(**{"id": "CASE_1", "kind": kind, "status": CaseStatus.OPEN, "opened_at": NOW} | but)


def voted(
    case: Case,
    actor: str,
    decision: CaseDecision,
    *,
    last: bool = False,
    after: timedelta = timedelta(0),
    amount: int | None = None,
) -> Case:
    """Return the case after this vote."""
    vote = Approval(
        actor=actor, decision=decision, reason="as the bank says", at=NOW + after, amount=amount
    )
    return replace(
        case,
        status=CaseStatus.RESOLVED if last else CaseStatus.AWAITING_SECOND,
        decision=decision,
        approvals=(*case.approvals, vote),
        resolved_at=NOW if last else None,
    )


def standing(**but: Any) -> PaymentBooks:
    return PaymentBooks(
        **{
            "status": PaymentStatus.PROCESSING,
            "owed": 200_000,
            "suspense": 0,
            "claimed": 0,
            "receivable": 0,
            "refused": False,
            "bills_open": True,
        }
        | but
    )


# ── votes ──────────────────────────────────────────────────────────────────────────────────────


def test_the_first_vote_waits_for_a_second_person_with_the_same() -> None:
    case = a_case()
    assert case.step_of_vote("FI001", CREDIT) is Step.FIRST
    once = voted(case, "FI001", CREDIT)
    assert once.step_of_vote("FI001", CREDIT) is Step.REPEAT
    assert once.step_of_vote("FI002", CREDIT) is Step.SECOND


def test_the_first_person_may_change_their_vote_and_never_counts_twice() -> None:
    case = voted(voted(a_case(), "FI001", CREDIT), "FI001", REFUND)
    assert case.step_of_vote("FI001", REFUND) is Step.REPEAT
    assert case.step_of_vote("FI001", CREDIT) is Step.FIRST
    back = voted(case, "FI001", CREDIT)
    assert back.step_of_vote("FI001", CREDIT) is Step.REPEAT
    assert back.step_of_vote("FI002", CREDIT) is Step.SECOND


def test_another_vote_of_a_second_person_is_refused_with_the_first_decision() -> None:
    case = voted(a_case(), "FI001", CREDIT)
    with pytest.raises(InvalidInput) as caught:
        case.step_of_vote("FI002", REFUND)
    assert caught.value.field == "decision"
    assert "FI001" in caught.value.text("vi")
    assert "CREDIT" in caught.value.text("en")


def test_a_day_after_the_first_vote_another_person_begins_anew() -> None:
    case = voted(a_case(), "FI001", CREDIT)
    soon = replace(case, seen_at=NOW + VOTE_LIFETIME - timedelta(seconds=1))
    with pytest.raises(InvalidInput, match="12:06 05/03/2026"):
        soon.step_of_vote("FI002", REFUND)
    assert soon.step_of_vote("FI002", CREDIT) is Step.SECOND
    later = replace(case, seen_at=NOW + VOTE_LIFETIME)
    assert later.step_of_vote("FI002", CREDIT) is Step.SECOND, "it is still one of two"
    assert later.step_of_vote("FI002", REFUND) is Step.FIRST
    anew = voted(later, "FI002", REFUND, after=VOTE_LIFETIME)
    assert anew.step_of_vote("FI002", REFUND) is Step.REPEAT
    with pytest.raises(InvalidInput, match="FI002 decided REFUND"):
        anew.step_of_vote("FI001", CREDIT)
    assert anew.step_of_vote("FI001", REFUND) is Step.SECOND
    assert anew.step_of_vote("FI003", REFUND) is Step.SECOND


def test_a_withdrawn_vote_does_not_count() -> None:
    case = voted(voted(a_case(), "FI001", REFUND), "FI001", CREDIT)
    case = replace(
        voted(case, "FI002", CLOSE, after=VOTE_LIFETIME), seen_at=NOW + 2 * VOTE_LIFETIME
    )
    assert case.step_of_vote("FI003", REFUND) is Step.FIRST
    anew = voted(case, "FI003", REFUND)
    assert anew.first is not None
    assert anew.first.actor == "FI003"
    assert anew.step_of_vote("FI001", REFUND) is Step.SECOND, "it counts when it is given again"


def test_a_resolved_case_accepts_repeats_and_refuses_other_votes() -> None:
    case = voted(voted(a_case(), "FI001", CREDIT), "FI002", CREDIT, last=True)
    for actor in ("FI001", "FI002"):
        assert case.step_of_vote(actor, CREDIT) is Step.REPEAT
        with pytest.raises(AlreadyResolved):
            case.step_of_vote(actor, CLOSE)
    with pytest.raises(AlreadyResolved):
        case.step_of_vote("FI003", CREDIT)


# ── named sums ─────────────────────────────────────────────────────────────────────────────────


def test_two_people_agree_if_they_name_the_same_sum() -> None:
    case = voted(a_case(unreadable="200.000"), "FI001", CREDIT, amount=9_000)
    assert case.step_of_vote("FI001", CREDIT, 9_000) is Step.REPEAT
    assert case.step_of_vote("FI002", CREDIT, 9_000) is Step.SECOND
    assert case.step_of_vote("FI001", CREDIT, 8_000) is Step.FIRST, "they may name another"
    with pytest.raises(InvalidInput, match="FI001 decided CREDIT 9,000"):
        case.step_of_vote("FI002", CREDIT, 8_000)
    later = replace(case, seen_at=NOW + VOTE_LIFETIME)
    assert later.step_of_vote("FI002", CREDIT, 8_000) is Step.FIRST


def test_of_a_resolved_case_only_the_same_sum_is_a_repeat() -> None:
    once = voted(a_case(unreadable="200.000"), "FI001", CREDIT, amount=9_000)
    case = voted(once, "FI002", CREDIT, amount=9_000, last=True)
    assert case.step_of_vote("FI001", CREDIT, 9_000) is Step.REPEAT
    for amount in (8_000, None):
        with pytest.raises(AlreadyResolved):
            case.step_of_vote("FI001", CREDIT, amount)


def test_a_named_sum_does_not_count_once_the_gateways_is_known() -> None:
    case = voted(a_case(unreadable="200.000"), "FI001", CREDIT, amount=9_000)
    known = replace(case, unreadable=None, amount=150_000)
    assert known.first is None
    assert known.step_of_vote("FI002", CREDIT) is Step.FIRST


@pytest.mark.parametrize(
    ("number", "about", "same", "other"),
    [("G1", "G1 · 200.000", True, False), (None, "200.000", True, True)],
)
def test_an_unreadable_sum_is_matched_by_its_number(
    number: str | None, about: str, same: bool, other: bool
) -> None:
    assert about_money(number, "200.000") == about
    case = a_case(about=about, unreadable="200.000")
    assert (case.number, case.is_under("G1"), case.is_under("G2")) == (number, same, other)
    assert case.is_under(None)
    assert not replace(case, unreadable=None).is_under("G1")


def test_an_unreadable_sum_has_no_waiting_money_and_no_suggestion() -> None:
    books = standing(suspense=200_000, foreign=Money(5, Currency.USD))
    case = a_case(unreadable="200.000", books=books)
    assert (case.undecided_amount, case.foreign_money, case.suggestion) == (0, None, None)


# "-" cannot be decided.
DECIDED = """
kind               APPLY         CREDIT  REFUND  CLOSE
AMOUNT_MISMATCH    PAY           CREDIT  REFUND  END
CURRENCY_MISMATCH  PAY           CREDIT  REFUND  END
LATE_MONEY         PAY           CREDIT  REFUND  END
PAID_TWICE         -             CREDIT  REFUND  END
RECORD_REFUSED     RECORD        CREDIT  REFUND  END
SUSPICIOUS         PAY           CREDIT  REFUND  END
UNKNOWN_OUTCOME    PAY           CREDIT  REFUND  END
REFUND_UNKNOWN     REFUND_DONE   -       -       REFUND_FAILED
APPROVAL           APPROVE       -       -       REJECT
UNMATCHED          -             -       -       ACKNOWLEDGE
VARIANCE           -             -       -       ACKNOWLEDGE
SETTLEMENT         -             -       -       ACKNOWLEDGE
"""
ROWS = {kind: cells for kind, *cells in (line.split() for line in DECIDED.split("\n")[2:-1])}


def test_the_table_of_effects_names_every_kind_of_case() -> None:
    assert ROWS.keys() == set(CaseKind) == EFFECTS.keys()


@pytest.mark.parametrize("kind", CaseKind)
@pytest.mark.parametrize(("column", "decision"), list(enumerate(CaseDecision)))
def test_a_kind_allows_the_decisions_of_the_table_with_these_effects(
    kind: CaseKind, column: int, decision: CaseDecision
) -> None:
    case, expected = a_case(kind), ROWS[kind][column]
    if expected == "-":
        assert decision not in case.choices
        with pytest.raises(InvalidInput, match="takes only"):
            case.step_of_vote("FI001", decision)
    else:
        assert case.effect(decision) == expected
        assert case.step_of_vote("FI001", decision) in {Step.FIRST, Step.SECOND}


def test_the_requester_of_a_reversal_neither_approves_nor_rejects_it() -> None:
    requested = voted(a_case(CaseKind.APPROVAL, reversal_id="REV_1"), "FI001", APPLY)
    for decision in (APPLY, CLOSE):
        with pytest.raises(NotPermitted):
            requested.step_of_vote("FI001", decision)
        assert requested.step_of_vote("FI002", decision) is Step.SECOND


def test_a_rejected_reversal_stays_rejected() -> None:
    requested = voted(a_case(CaseKind.APPROVAL, reversal_id="REV_1"), "FI001", APPLY)
    rejected = voted(requested, "FI002", CLOSE, last=True)
    assert rejected.step_of_vote("FI002", CLOSE) is Step.REPEAT
    for actor, decision in (("FI001", APPLY), ("FI002", APPLY), ("FI003", CLOSE)):
        with pytest.raises(AlreadyResolved):
            rejected.step_of_vote(actor, decision)


def test_an_unknown_refund_was_paid_or_was_not() -> None:
    case = a_case(CaseKind.REFUND_UNKNOWN, reversal_id="REV_1")
    assert case.choices == {APPLY, CLOSE}


@pytest.mark.parametrize(("outcome", "other"), [(APPLY, CLOSE), (CLOSE, APPLY)])
def test_a_known_outcome_of_a_refund_is_the_only_choice(
    outcome: CaseDecision, other: CaseDecision
) -> None:
    unknown = a_case(CaseKind.REFUND_UNKNOWN, reversal_id="REV_1", books=standing())
    before = voted(unknown, "FI001", other)
    known = replace(before, outcome=outcome)
    assert known.suggestion is outcome
    for actor in ("FI001", "FI002"):
        with pytest.raises(InvalidInput, match="known by now"):
            known.step_of_vote(actor, other)
    assert known.step_of_vote("FI002", outcome) is Step.FIRST, "earlier votes do not count"


def test_the_owner_of_a_case_is_the_role_that_may_resolve_it() -> None:
    assert {a_case(kind).owner for kind in CaseKind} == ROLES_FOR[Operation.RESOLVE_CASE]


# ── money ───────────────────────────────────────────────────────────────────────────────────────

MISMATCH, LATE, TWICE = CaseKind.AMOUNT_MISMATCH, CaseKind.LATE_MONEY, CaseKind.PAID_TWICE
SUCCESS, EXPIRED = PaymentStatus.SUCCESS, PaymentStatus.EXPIRED
SUGGESTED: list[tuple[CaseKind, dict[str, Any], CaseDecision | None]] = [
    (MISMATCH, {"suspense": 150_000}, REFUND),
    (MISMATCH, {"suspense": 200_000}, APPLY),
    (MISMATCH, {"suspense": 0}, None),
    (LATE, {"status": EXPIRED, "suspense": 200_000}, APPLY),
    (LATE, {"status": EXPIRED, "suspense": 200_000, "bills_open": False}, REFUND),
    (LATE, {"status": EXPIRED, "suspense": 0}, None),
    (LATE, {"status": SUCCESS, "suspense": 0}, CLOSE),
    (TWICE, {"status": SUCCESS, "suspense": 200_000}, REFUND),
    (TWICE, {"status": SUCCESS, "suspense": 0}, CLOSE),
    (CaseKind.CURRENCY_MISMATCH, {"foreign": Money(1000, Currency.USD)}, REFUND),
    (CaseKind.SUSPICIOUS, {"suspense": 200_000}, None),
    (CaseKind.UNKNOWN_OUTCOME, {}, None),
    (CaseKind.SETTLEMENT, {"suspense": 200_000}, None),
    (CaseKind.APPROVAL, {"status": SUCCESS}, None),
]


@pytest.mark.parametrize(("kind", "books", "suggestion"), SUGGESTED)
def test_the_suggestion_follows_from_the_books(
    kind: CaseKind, books: dict[str, Any], suggestion: CaseDecision | None
) -> None:
    case = a_case(kind, books=standing(**books))
    assert case.suggestion is suggestion
    assert suggestion is None or suggestion in case.choices
    assert replace(case, status=CaseStatus.RESOLVED).suggestion is None


def test_there_is_no_suggestion_without_a_payment_or_for_a_refused_record() -> None:
    assert a_case(CaseKind.UNMATCHED).suggestion is None
    assert (
        a_case(CaseKind.RECORD_REFUSED, books=standing(receivable=200_000, refused=True)).suggestion
        is None
    )


@pytest.mark.parametrize(
    ("amount", "suspense", "claimed", "waiting"),
    [
        (150_000, 150_000, 0, 150_000),
        (150_000, 350_000, 200_000, 150_000),
        (200_000, 50_000, 0, 50_000),  # an earlier decision took the rest
        (None, 400_000, 200_000, 200_000),
        (None, 100_000, 200_000, 0),
    ],
)
def test_a_case_has_only_its_own_money(
    amount: int | None, suspense: int, claimed: int, waiting: int
) -> None:
    case = a_case(amount=amount, books=standing(suspense=suspense, claimed=claimed))
    assert case.undecided_amount == waiting


@pytest.mark.parametrize("kind", [CaseKind.SUSPICIOUS, CaseKind.UNKNOWN_OUTCOME])
def test_a_suspicion_has_all_money_whatever_sum_was_named(kind: CaseKind) -> None:
    dollars = Money(1000, Currency.USD)
    books = standing(suspense=300_000, claimed=50_000, foreign=dollars)
    case = a_case(kind, amount=100_000, books=books)
    assert (case.undecided_amount, case.foreign_money) == (250_000, dollars)


def test_a_case_ages_until_it_is_resolved() -> None:
    case = a_case(seen_at=NOW + timedelta(seconds=90))
    assert case.age_seconds == 90
    assert replace(case, resolved_at=NOW + timedelta(seconds=60)).age_seconds == 60
