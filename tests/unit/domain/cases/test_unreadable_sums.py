"""Unreadable sums: the notice that settles one, and the decisions of two people."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.attempts import AttemptStatus
from domain.case_decisions import DecisionRefused, NotCovered, check_named, decide_case
from domain.cases import Case, CaseDecision, CaseKind, CaseStatus, PaymentBooks
from domain.ledger import Account
from domain.money import Currency, Money
from domain.payment_decisions import decide
from domain.payment_evidence import Decision, Effect, EvidenceSource, GatewayResult
from domain.payments import HoldReason, Payment, PaymentStatus
from domain.refusals import InvalidInput
from tests.support.builders import LATER, NOW, PRICE, a_payment, an_attempt, evidence

APPLY, CREDIT, REFUND, CLOSE = CaseDecision
MISMATCH, LATE, TWICE = CaseKind.AMOUNT_MISMATCH, CaseKind.LATE_MONEY, CaseKind.PAID_TWICE
UNREAD = "200.000"
MORE, LESS = Money(200_001), Money(199_999)


def held(reason: HoldReason = HoldReason.AMOUNT_MISMATCH) -> Payment:
    return a_payment(hold_reason=reason, attempt=an_attempt(gateway_id="G1"))


def ended() -> Payment:
    attempt = an_attempt(AttemptStatus.EXPIRED, gateway_id="G1")
    return a_payment(PaymentStatus.EXPIRED, completed_at=NOW, attempt=attempt)


def succeeded() -> Payment:
    attempt = an_attempt(AttemptStatus.PAID, gateway_id="G0")
    return a_payment(PaymentStatus.SUCCESS, completed_at=NOW, attempt=attempt)


def case_of(payment: Payment, kind: CaseKind = MISMATCH, **but: Any) -> Case:
    books = PaymentBooks(
        status=payment.status,
        owed=payment.amount,
        suspense=0,
        claimed=0,
        receivable=0,
        refused=False,
        bills_open=True,
    )
    return Case(
        **{
            "id": "CASE_1",
            "kind": kind,
            "status": CaseStatus.OPEN,
            "opened_at": NOW,
            "payment_id": payment.id,
            "about": f"G1 · {UNREAD}",
            "unreadable": UNREAD,
            "books": books,
        }
        | but
    )


def decide_paid(payment: Payment, money: Money, number: str | None = "G1", **but: Any) -> Decision:
    arguments: dict[str, Any] = {"case": case_of(payment)} | but
    statement = evidence(GatewayResult.PAID, money=money, gateway_id=number)
    return decide(payment, payment.attempt, statement, now=LATER, **arguments)


def moves(decision: Decision) -> list[tuple[Account, Account, int]]:
    return [(posting.debit, posting.credit, posting.money.amount) for posting in decision.postings]


# ── notices ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", ["G1", "G2", None])
def test_the_exact_sum_settles_it_under_any_number(number: str | None) -> None:
    decision = decide_paid(held(), PRICE, number)
    assert decision.after.status is PaymentStatus.SUCCESS
    assert decision.effect is Effect.COLLECT
    assert (decision.after.hold_reason, decision.case) == (None, None)
    assert [posting.credit for posting in decision.postings] == [Account.CUSTOMER_RECEIVABLE]
    assert decision.attempt is not None
    assert decision.attempt.paid_under == (() if number is None else (number,))


@pytest.mark.parametrize("money", [MORE, LESS, Money(200_000, Currency.USD)], ids=str)
@pytest.mark.parametrize(("number", "case"), [("G1", None), (None, None), ("G2", MISMATCH)])
def test_any_other_sum_is_booked_and_stays_a_case(
    money: Money, number: str | None, case: CaseKind | None
) -> None:
    """Under another number it is another payment with a case of its own."""
    decision = decide_paid(held(), money, number)
    assert decision.after.status is PaymentStatus.PROCESSING
    assert decision.after.hold_reason is HoldReason.AMOUNT_MISMATCH
    assert [(posting.credit, posting.money) for posting in decision.postings] == [
        (Account.SUSPENSE, money)
    ]
    assert decision.case is case


def test_the_exact_sum_does_not_settle_another_hold() -> None:
    decision = decide_paid(held(HoldReason.GATEWAY_SUSPICIOUS), PRICE)
    assert decision.after.status is PaymentStatus.PROCESSING
    assert [posting.credit for posting in decision.postings] == [Account.SUSPENSE]


def test_without_a_case_about_an_unreadable_sum_the_money_waits_for_people() -> None:
    decision = decide_paid(held(), PRICE, case=None)
    assert decision.after.status is PaymentStatus.PROCESSING
    assert [posting.credit for posting in decision.postings] == [Account.SUSPENSE]


def test_the_same_unreadable_sum_again_changes_nothing_and_another_is_a_case() -> None:
    payment = held()
    for number, changed in (("G1", False), (None, False), ("G2", True)):
        statement = evidence(GatewayResult.PAID, gateway_id=number, unreadable=UNREAD)
        decision = decide(payment, payment.attempt, statement, now=LATER, case=case_of(payment))
        assert (decision.changed, decision.after, decision.postings) == (changed, payment, ())
        assert decision.case is (MISMATCH if changed else None)


@pytest.mark.parametrize(
    ("money", "status"),
    [(PRICE, PaymentStatus.SUCCESS), (MORE, PaymentStatus.EXPIRED), (LESS, PaymentStatus.EXPIRED)],
    ids=str,
)
def test_only_the_exact_sum_settles_a_late_payment_too(money: Money, status: PaymentStatus) -> None:
    payment = ended()
    decision = decide_paid(payment, money, case=case_of(payment, LATE))
    assert decision.after.status is status
    assert decision.case is (None if status is PaymentStatus.SUCCESS else LATE)


def test_a_second_payment_with_an_unreadable_sum_is_a_case_and_booked_once_it_is_known() -> None:
    payment = succeeded()
    statement = evidence(GatewayResult.PAID, gateway_id="G2", unreadable=UNREAD)
    first = decide(payment, payment.attempt, statement, now=LATER)
    assert (first.case, first.postings) == (TWICE, ())
    second = decide_paid(payment, PRICE, "G2", case=None)
    assert moves(second) == [(Account.VNPAY_CLEARING, Account.SUSPENSE, 200_000)]


@pytest.mark.parametrize(
    "result", [result for result in GatewayResult if result is not GatewayResult.PAID]
)
def test_an_unreadable_sum_goes_with_paid_alone(result: GatewayResult) -> None:
    with pytest.raises(AssertionError):
        evidence(result, source=EvidenceSource.WEBHOOK, unreadable=UNREAD)


# ── decisions of two people ──────────────────────────────────────────────────────────────────────

PAYS = (Account.VNPAY_CLEARING, Account.CUSTOMER_RECEIVABLE, 200_000)


@pytest.mark.parametrize(
    ("named", "excess"), [(None, 0), (PRICE, 0), (Money(250_000), 50_000)], ids=str
)
@pytest.mark.parametrize(("late", "kind"), [(False, MISMATCH), (True, LATE)])
def test_two_people_assert_that_the_requested_sum_or_more_came(
    named: Money | None, excess: int, late: bool, kind: CaseKind
) -> None:
    payment = ended() if late else held()
    decision = decide_case(payment, case_of(payment, kind), APPLY, LATER, named=named)
    assert (decision.after.status, decision.after.late) == (PaymentStatus.SUCCESS, late)
    credited = [(Account.VNPAY_CLEARING, Account.CUSTOMER_CREDIT, excess)] if excess else []
    assert moves(decision) == [PAYS, *credited]
    assert decision.attempt is not None
    assert (decision.attempt.status, decision.attempt.paid_under) == (AttemptStatus.PAID, ("G1",))


def test_less_than_the_requested_sum_pays_nothing() -> None:
    payment = held()
    with pytest.raises(NotCovered) as caught:
        decide_case(payment, case_of(payment), APPLY, LATER, named=LESS)
    assert (caught.value.expected, caught.value.requested) == (200_000, 199_999)


def test_a_taken_bill_and_a_success_are_not_paid_again() -> None:
    payment = ended()
    case = case_of(payment, LATE)
    assert case.books is not None
    taken = replace(case, books=replace(case.books, bills_open=False))
    with pytest.raises(DecisionRefused):
        decide_case(payment, taken, APPLY, LATER)
    with pytest.raises(DecisionRefused):
        decide_case(succeeded(), case_of(succeeded()), APPLY, LATER)


@pytest.mark.parametrize(
    ("payment", "kind", "status"),
    [
        (held(), MISMATCH, PaymentStatus.CANCELLED),
        (ended(), LATE, PaymentStatus.EXPIRED),
        (succeeded(), TWICE, PaymentStatus.SUCCESS),
        (succeeded(), MISMATCH, PaymentStatus.SUCCESS),
    ],
)
def test_the_named_sum_is_booked_and_a_later_notice_of_it_changes_nothing(
    payment: Payment, kind: CaseKind, status: PaymentStatus
) -> None:
    named = Money(70_000)
    case = case_of(payment, kind)
    in_suspense = (Account.VNPAY_CLEARING, Account.SUSPENSE, 70_000)
    credit = decide_case(payment, case, CREDIT, LATER, named=named)
    assert moves(credit) == [in_suspense, (Account.SUSPENSE, Account.CUSTOMER_CREDIT, 70_000)]
    refund = decide_case(payment, case, REFUND, LATER, named=named)
    assert moves(refund) == [in_suspense]
    assert refund.refund is not None
    assert (refund.refund.source, refund.refund.money) == (Account.SUSPENSE, named)
    for decision in (credit, refund):
        assert decision.after.status is status
        again = decide_paid(decision.after, PRICE, "G1", case=None)
        assert (again.changed, again.postings) == (False, ())


def test_dollars_are_refunded_and_never_credited() -> None:
    attempt = an_attempt(gateway_id="G1", money=Money(800, Currency.USD))
    payment = a_payment(hold_reason=HoldReason.AMOUNT_MISMATCH, attempt=attempt)
    named = Money(500, Currency.USD)
    with pytest.raises(DecisionRefused, match="Decide REFUND"):
        decide_case(payment, case_of(payment), CREDIT, LATER, named=named)
    refund = decide_case(payment, case_of(payment), REFUND, LATER, named=named).refund
    assert refund is not None
    assert refund.money == named
    assert moves(decide_case(payment, case_of(payment), APPLY, LATER)) == [PAYS], (
        "our books are in đồng"
    )


def test_closing_cancels_the_payment_and_its_reference_can_still_be_paid() -> None:
    decision = decide_case(held(), case_of(held()), CLOSE, LATER)
    assert (decision.after.status, decision.postings) == (PaymentStatus.CANCELLED, ())
    assert decision.attempt is not None
    assert decision.attempt.status is AttemptStatus.CANCELLED


@pytest.mark.parametrize(
    ("unreadable", "wanted", "amount", "fits"),
    [
        (UNREAD, APPLY, None, True),
        (UNREAD, APPLY, 5, True),
        (UNREAD, CREDIT, 5, True),
        (UNREAD, REFUND, 5, True),
        (UNREAD, CLOSE, None, True),
        (UNREAD, CREDIT, None, False),
        (UNREAD, REFUND, None, False),
        (UNREAD, CLOSE, 5, False),
        (None, CREDIT, None, True),
        (None, CREDIT, 5, False),
        (None, APPLY, 5, False),
    ],
)
def test_a_sum_is_named_only_in_place_of_an_unreadable_one(
    unreadable: str | None, wanted: CaseDecision, amount: int | None, fits: bool
) -> None:
    case = case_of(held(), unreadable=unreadable)
    if fits:
        check_named(case, wanted, amount)
    else:
        with pytest.raises(InvalidInput) as caught:
            check_named(case, wanted, amount)
        assert caught.value.field == "amount"
