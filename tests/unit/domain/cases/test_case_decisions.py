"""Case × decision of two people → effect on the money, against a table written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product

import pytest

from domain.attempts import AttemptStatus
from domain.case_decisions import DecisionRefused, NotCovered, decide_case
from domain.cases import Case, CaseDecision, CaseKind, CaseStatus, PaymentBooks
from domain.ledger import Account
from domain.methods import PaymentMethod
from domain.money import Currency, Money
from domain.payment_decisions import decide
from domain.payment_evidence import Decision, Effect, Evidence, EvidenceSource, GatewayResult
from domain.payments import (
    Custody,
    HoldReason,
    Payment,
    PaymentStatus,
    PostingStatus,
)
from domain.refusals import Refusal
from domain.sentences import DecisionReason
from tests.support.builders import LATER, NOW, a_payment, an_attempt

AMOUNT = {"none": 0, "short": 150_000, "exact": 200_000, "over": 250_000, "foreign": 0}
DOLLARS = Money(1_000, Currency.USD)
DECISIONS = ("APPLY", "CREDIT", "REFUND", "CLOSE")

# The payment is of 200,000. `held` waits for two people. `ended` is EXPIRED with open bills,
# `taken` EXPIRED with bills that are paid or locked. `undone` is EXPIRED, and its late money was
# refunded. `refused`, `cash` and `office` are successes whose record Revenue refused.
# SUCCESS LATE CANCELLED  the payment's new status; "·" no change of status
# +paid +excess           suspense pays the bill; the excess is credited
# +asserted               the bill is paid by money that is not booked yet
# +credit +refund         all the money is credited or refunded
# short  NotCovered       no  DecisionRefused       record  Revenue gets the record again
# void   DecisionRefused: the cash is still with its collector, who voids it
# -      the kind does not allow the decision
TABLE = """
state    money   kind              | APPLY               CREDIT           REFUND           CLOSE
held     none    AMOUNT_MISMATCH   | short               no               no               CANCELLED
held     none    CURRENCY_MISMATCH | short               no               no               CANCELLED
held     none    SUSPICIOUS        | SUCCESS+asserted    no               no               CANCELLED
held     none    UNKNOWN_OUTCOME   | SUCCESS+asserted    no               no               CANCELLED
held     short   AMOUNT_MISMATCH   | short               CANCELLED+credit CANCELLED+refund no
held     short   SUSPICIOUS        | short               CANCELLED+credit CANCELLED+refund no
held     short   UNKNOWN_OUTCOME   | short               CANCELLED+credit CANCELLED+refund no
held     exact   AMOUNT_MISMATCH   | SUCCESS+paid        CANCELLED+credit CANCELLED+refund no
held     exact   SUSPICIOUS        | SUCCESS+paid        CANCELLED+credit CANCELLED+refund no
held     exact   UNKNOWN_OUTCOME   | SUCCESS+paid        CANCELLED+credit CANCELLED+refund no
held     over    AMOUNT_MISMATCH   | SUCCESS+paid+excess CANCELLED+credit CANCELLED+refund no
held     over    SUSPICIOUS        | SUCCESS+paid+excess CANCELLED+credit CANCELLED+refund no
held     over    UNKNOWN_OUTCOME   | SUCCESS+paid+excess CANCELLED+credit CANCELLED+refund no
held     foreign CURRENCY_MISMATCH | no                  no               CANCELLED+refund no
held     foreign SUSPICIOUS        | no                  no               CANCELLED+refund no
held     exact   PAID_TWICE        | -                   ·+credit         ·+refund         no
ended    none    LATE_MONEY        | short               no               no               ·
ended    none    SUSPICIOUS        | LATE+asserted       no               no               ·
undone   none    SUSPICIOUS        | short               no               no               ·
ended    short   LATE_MONEY        | short               ·+credit         ·+refund         no
ended    short   SUSPICIOUS        | short               ·+credit         ·+refund         no
ended    exact   LATE_MONEY        | LATE+paid           ·+credit         ·+refund         no
ended    exact   SUSPICIOUS        | LATE+paid           ·+credit         ·+refund         no
ended    over    LATE_MONEY        | LATE+paid+excess    ·+credit         ·+refund         no
ended    over    SUSPICIOUS        | LATE+paid+excess    ·+credit         ·+refund         no
ended    foreign LATE_MONEY        | no                  no               ·+refund         no
ended    exact   PAID_TWICE        | -                   ·+credit         ·+refund         no
taken    none    LATE_MONEY        | short               no               no               ·
taken    none    SUSPICIOUS        | no                  no               no               ·
taken    exact   LATE_MONEY        | no                  ·+credit         ·+refund         no
taken    exact   SUSPICIOUS        | no                  ·+credit         ·+refund         no
SUCCESS  none    AMOUNT_MISMATCH   | no                  no               no               ·
SUCCESS  none    LATE_MONEY        | no                  no               no               ·
SUCCESS  none    SUSPICIOUS        | no                  no               no               ·
SUCCESS  none    UNKNOWN_OUTCOME   | no                  no               no               ·
SUCCESS  none    PAID_TWICE        | -                   no               no               ·
SUCCESS  exact   PAID_TWICE        | -                   ·+credit         ·+refund         no
SUCCESS  exact   LATE_MONEY        | no                  ·+credit         ·+refund         no
SUCCESS  exact   SUSPICIOUS        | no                  ·+credit         ·+refund         no
SUCCESS  foreign PAID_TWICE        | -                   no               ·+refund         no
refused  exact   RECORD_REFUSED    | record              ·+credit         ·+refund         no
refused  none    RECORD_REFUSED    | no                  no               no               ·
cash     exact   RECORD_REFUSED    | record              ·+credit         void             no
office   exact   RECORD_REFUSED    | record              ·+credit         ·+refund         no
"""


@dataclass(frozen=True)
class Row:
    state: str
    money: str
    kind: str
    cells: dict[str, str]

    def __str__(self) -> str:
        return f"{self.state}-{self.money}-{self.kind}"


def rows() -> Iterator[Row]:
    _, *lines = TABLE.strip().splitlines()
    for line in lines:
        left, _, right = line.partition("|")
        state, money, kind = left.split()
        yield Row(state, money, kind, dict(zip(DECISIONS, right.split(), strict=True)))


def payment_of(row: Row) -> Payment:
    paid = an_attempt(AttemptStatus.PAID, gateway_id="G1")
    match row.state:
        case "held":
            booked = row.money != "none"
            return a_payment(
                hold_reason=HoldReason.GATEWAY_SUSPICIOUS,
                attempt=paid if booked else an_attempt(gateway_id="G1"),
            )
        case "ended" | "taken":
            booked = row.money != "none"
            attempt = paid if booked else an_attempt(AttemptStatus.EXPIRED)
            return a_payment(PaymentStatus.EXPIRED, completed_at=NOW, attempt=attempt)
        case "undone":
            return a_payment(PaymentStatus.EXPIRED, completed_at=NOW, attempt=paid)
        case "SUCCESS":
            return a_payment(PaymentStatus.SUCCESS, completed_at=NOW, attempt=paid)
        case "refused":
            return a_payment(
                PaymentStatus.SUCCESS, attempt=paid, posting_status=PostingStatus.FAILED
            )
        case _:
            held = Custody.HELD_BY_STAFF if row.state == "cash" else Custody.RECONCILED
            return a_payment(
                PaymentStatus.SUCCESS,
                method=PaymentMethod.CASH,
                custody=held,
                posting_status=PostingStatus.FAILED,
            )


def case_of(row: Row, payment: Payment) -> Case:
    kind = CaseKind(row.kind)
    record = kind is CaseKind.RECORD_REFUSED
    amount = AMOUNT[row.money]
    named = {CaseKind.AMOUNT_MISMATCH, CaseKind.PAID_TWICE, CaseKind.RECORD_REFUSED}
    known = kind in named and row.money != "foreign"
    return Case(
        id="CASE_1",
        kind=kind,
        status=CaseStatus.OPEN,
        opened_at=NOW,
        payment_id=payment.id,
        amount=amount if known else None,
        books=PaymentBooks(
            status=payment.status,
            owed=payment.amount,
            suspense=0 if record else amount,
            claimed=0,
            receivable=amount if record else 0,
            refused=payment.posting_status is PostingStatus.FAILED,
            bills_open=row.state != "taken",
            foreign=DOLLARS if row.money == "foreign" else None,
        ),
    )


def cell_by_decision(row: Row, wanted: CaseDecision) -> str:
    payment = payment_of(row)
    case = case_of(row, payment)
    if wanted not in case.choices:
        return "-"
    try:
        decision = decide_case(payment, case, wanted, LATER)
    except NotCovered as refusal:
        return "short" if refusal.requested == AMOUNT[row.money] else str(refusal)
    except DecisionRefused as refusal:
        return "void" if refusal.reason is DecisionReason.CASH_IS_WITH_COLLECTOR else "no"
    return cell_of(payment, case, decision)


def cell_of(before: Payment, case: Case, decision: Decision) -> str:
    after = decision.after
    assert decision.changed
    assert after.version == before.version + 1
    assert decision.case is None
    if decision.effect is Effect.RECORD:
        assert after.posting_status is PostingStatus.PENDING
        assert not decision.postings
        return "record"
    expected_effect = {
        (PaymentStatus.PROCESSING, PaymentStatus.SUCCESS): Effect.COLLECT,
        (PaymentStatus.PROCESSING, PaymentStatus.CANCELLED): Effect.RELEASE,
        (PaymentStatus.EXPIRED, PaymentStatus.SUCCESS): Effect.COLLECT_LATE,
    }.get((before.status, after.status), Effect.NONE)
    assert decision.effect is expected_effect
    assert after.late is (expected_effect is Effect.COLLECT_LATE)
    status = "·" if after.status is before.status else after.status.value
    return ("LATE" if after.late else status) + _money_of(before, case, decision)


def _money_of(before: Payment, case: Case, decision: Decision) -> str:
    moves = {(posting.debit, posting.credit): posting.money for posting in decision.postings}
    source = (
        Account.CUSTOMER_RECEIVABLE if case.kind is CaseKind.RECORD_REFUSED else Account.SUSPENSE
    )
    if decision.refund is not None:
        assert moves == {}, "the reversal posts the refund"
        assert decision.refund.source is source
        assert decision.refund.money == (case.foreign_money or Money(case.undecided_amount))
        return "+refund"
    money = ""
    if (Account.VNPAY_CLEARING, Account.CUSTOMER_RECEIVABLE) in moves:
        assert moves.pop((Account.VNPAY_CLEARING, Account.CUSTOMER_RECEIVABLE)) == before.money
        money = "+asserted"
    if (Account.SUSPENSE, Account.CUSTOMER_RECEIVABLE) in moves:
        assert moves.pop((Account.SUSPENSE, Account.CUSTOMER_RECEIVABLE)) == before.money
        money = "+paid"
    if credit := moves.pop((source, Account.CUSTOMER_CREDIT), None):
        rest = case.undecided_amount - (before.amount if money else 0)
        assert credit == Money(rest)
        money += "+excess" if money else "+credit"
    assert moves == {}
    return money


ROWS = list(rows())


@pytest.mark.parametrize("row", ROWS, ids=str)
@pytest.mark.parametrize("wanted", CaseDecision)
def test_every_decision_does_what_the_table_says(row: Row, wanted: CaseDecision) -> None:
    assert cell_by_decision(row, wanted) == row.cells[wanted]


@pytest.mark.parametrize("wanted", CaseDecision)
@pytest.mark.parametrize("row", [row for row in ROWS if row.state == "SUCCESS"], ids=str)
def test_no_decision_leaves_success(row: Row, wanted: CaseDecision) -> None:
    assert cell_by_decision(row, wanted)[0] in "-n·"


@pytest.mark.parametrize(
    ("status", "kind", "wanted"),
    list(
        product(
            [PaymentStatus.FAILED, PaymentStatus.CANCELLED],
            [CaseKind.LATE_MONEY, CaseKind.SUSPICIOUS],
            CaseDecision,
        )
    ),
)
def test_failed_and_cancelled_behave_as_expired(
    status: PaymentStatus, kind: CaseKind, wanted: CaseDecision
) -> None:
    row = next(row for row in ROWS if (row.state, row.money, row.kind) == ("ended", "exact", kind))
    payment = replace(payment_of(row), status=status)
    case = case_of(row, payment)
    try:
        after = decide_case(payment, case, wanted, LATER).after.status
    except Refusal:
        assert wanted is CaseDecision.CLOSE
    else:
        assert after is (PaymentStatus.SUCCESS if wanted is CaseDecision.APPLY else status)


def test_two_people_may_let_two_partial_payments_pay_the_bill() -> None:
    """Nothing sums them without people; the second case then has no money and is closed."""
    row = next(row for row in ROWS if str(row) == "held-short-AMOUNT_MISMATCH")
    payment = payment_of(row)
    case = case_of(row, payment)
    assert case.books is not None
    both = replace(case, books=replace(case.books, suspense=200_000, claimed=50_000))
    assert both.undecided_amount == 150_000
    decision = decide_case(payment, both, CaseDecision.APPLY, LATER)
    assert decision.after.status is PaymentStatus.SUCCESS
    assert sum(posting.money.amount for posting in decision.postings) == 200_000


def test_a_decision_moves_no_money_of_another_case() -> None:
    row = next(row for row in ROWS if str(row) == "held-exact-SUSPICIOUS")
    payment = payment_of(row)
    case = case_of(row, payment)
    assert case.books is not None
    twice = replace(case, books=replace(case.books, suspense=400_000, claimed=200_000))
    for wanted in (CaseDecision.APPLY, CaseDecision.CREDIT):
        decision = decide_case(payment, twice, wanted, LATER)
        assert sum(posting.money.amount for posting in decision.postings) == 200_000
    refund = decide_case(payment, twice, CaseDecision.REFUND, LATER).refund
    assert refund is not None
    assert refund.money == Money(200_000)


@pytest.mark.parametrize(("kind", "numbers"), [("SUSPICIOUS", ("G1",)), ("UNKNOWN_OUTCOME", ())])
def test_an_asserted_attempt_has_the_number_only_of_a_suspicious_payment(
    kind: str, numbers: tuple[str, ...]
) -> None:
    row = next(row for row in ROWS if str(row) == f"held-none-{kind}")
    payment = payment_of(row)
    decision = decide_case(payment, case_of(row, payment), CaseDecision.APPLY, LATER)
    assert decision.attempt is not None
    assert (decision.attempt.status, decision.attempt.paid_under) == (AttemptStatus.PAID, numbers)


def test_a_cancelled_attempt_can_still_be_paid_late() -> None:
    row = next(row for row in ROWS if str(row) == "held-none-UNKNOWN_OUTCOME")
    payment = payment_of(row)
    decision = decide_case(payment, case_of(row, payment), CaseDecision.CLOSE, LATER)
    assert decision.attempt is not None
    assert decision.attempt.status is AttemptStatus.CANCELLED


def test_a_decision_of_two_people_is_evidence_too() -> None:
    row = next(row for row in ROWS if str(row) == "held-exact-AMOUNT_MISMATCH")
    payment = payment_of(row)
    evidence = Evidence(
        source=EvidenceSource.FOUR_EYES,
        origin="case:CASE_1",
        result=GatewayResult.DECIDED,
        decided=CaseDecision.APPLY,
    )
    case = case_of(row, payment)
    decision = decide(payment, payment.attempt, evidence, now=LATER, case=case)
    assert decision == decide_case(payment, case, CaseDecision.APPLY, LATER)


@pytest.mark.parametrize(
    "source",
    [None, *(source for source in EvidenceSource if source is not EvidenceSource.FOUR_EYES)],
)
def test_only_two_people_decide(source: EvidenceSource | None) -> None:
    with pytest.raises(AssertionError):
        Evidence(
            source=source, origin="test", result=GatewayResult.DECIDED, decided=CaseDecision.APPLY
        )
