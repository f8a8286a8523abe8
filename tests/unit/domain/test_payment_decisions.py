"""Every pair of a state and a saying, against a table written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.attempts import AttemptStatus, Failure
from domain.cases import CaseKind
from domain.ledger import Account
from domain.methods import PaymentMethod
from domain.money import Money
from domain.payment_decisions import decide
from domain.payment_evidence import Closing, Effect, Evidence, EvidenceSource, GatewayResult
from domain.payments import HoldReason, PaymentStatus, TransitionRefused
from tests.support.builders import LATER, NOW, a_payment, an_attempt, evidence
from tests.support.decision_table import (
    ENDED,
    OF_OURS,
    PROOFS,
    ROWS,
    SAYINGS,
    Row,
    became,
    closings,
    each_saying,
    each_state,
    saying,
)


def what_becomes(
    row: Row,
    said: str,
    grade: EvidenceSource | None,
    closing: Closing | None = None,
    *,
    bills_open: bool = True,
) -> str:
    assert row.payment.attempt is not None
    try:
        decision = decide(
            row.payment,
            row.payment.attempt,
            saying(said, grade),
            now=LATER,
            closing=closing,
            bills_open=bills_open,
        )
    except TransitionRefused:
        return "no"
    return became(row.payment, decision)


def test_the_table_names_every_state_that_is_possible() -> None:
    named = {
        (row.payment.status, row.payment.attempt.status, row.payment.hold_reason is not None)
        for row in ROWS
        if row.payment.attempt
    }
    assert len(named) == len(ROWS)
    assert {status for status, _, _ in named} == set(PaymentStatus)
    assert {attempt for _, attempt, _ in named} == set(AttemptStatus)
    said = {saying(item, EvidenceSource.INQUIRY).result for item in SAYINGS}
    assert said == set(GatewayResult) - {GatewayResult.DECIDED}, (
        "two people's are in test_rulings.py"
    )


@each_state
@each_saying
def test_every_saying_does_what_the_table_says(row: Row, said: str) -> None:
    for grade in (None, *EvidenceSource):
        if grade is None and said not in OF_OURS:
            continue
        for closing in closings(said):
            for bills_open in (True, False):
                expected = row.cells[said]
                if expected.startswith("late"):
                    if grade not in PROOFS:
                        expected = "ask"
                    elif not bills_open:
                        expected = "late+"
                if (grade, said, expected) == (EvidenceSource.WEBHOOK, "UNKNOWN", "·") and _is_open(
                    row
                ):
                    expected = "ask"  # a verified call that contradicts itself
                if (said, expected, closing) == ("NOT_STARTED", "FAILED", Closing.CANCELLED):
                    expected = "CANCELLED"
                if grade is EvidenceSource.CLIENT:
                    expected = "ask"
                found = what_becomes(row, said, grade, closing, bills_open=bills_open)
                assert found == expected, (grade, closing, bills_open)


def _is_open(row: Row) -> bool:
    return not row.payment.is_final and row.payment.hold_reason is None


@each_saying
@pytest.mark.parametrize("grade", [None, *EvidenceSource])
@pytest.mark.parametrize("gateway_id", ["G1", "G2", None])
def test_success_is_never_left(
    said: str, grade: EvidenceSource | None, gateway_id: str | None
) -> None:
    if grade is None and said not in OF_OURS:
        return
    payment = a_payment(
        PaymentStatus.SUCCESS, attempt=an_attempt(AttemptStatus.PAID, gateway_id="G1")
    )
    assert payment.attempt is not None
    for closing in (None, *Closing):
        decision = decide(
            payment, payment.attempt, saying(said, grade, gateway_id), now=LATER, closing=closing
        )
        assert decision.after.status is PaymentStatus.SUCCESS
        assert decision.effect is Effect.NONE


def test_nothing_but_a_decline_or_a_call_never_made_fails_a_payment() -> None:
    failing = {
        said
        for row in ROWS
        for said, cell in row.cells.items()
        if cell == "FAILED" and row.payment.status is not PaymentStatus.FAILED
    }
    assert failing == {"DECLINED", "NOT_CONNECTED", "NOT_STARTED"}


def test_silence_never_ends_a_payment() -> None:
    assert {row.cells["UNKNOWN"] for row in ROWS} == {"·", "lost"}


@pytest.mark.parametrize(
    "result", [item for item in GatewayResult if item.value not in {*OF_OURS, "DECIDED"}]
)
def test_our_own_findings_say_nothing_about_money(result: GatewayResult) -> None:
    with pytest.raises(AssertionError):
        evidence(result, source=None)


@pytest.mark.parametrize("held", [True, False], ids=["held", "success"])
@pytest.mark.parametrize(
    ("ours", "theirs", "word"),
    [("G1", "G2", "+case"), ("G1", "G1", "·"), ("G1", None, "·"), (None, "G2", "named")],
)
def test_the_same_reference_paid_twice_is_a_case_when_both_payments_have_a_number(
    held: bool, ours: str | None, theirs: str | None, word: str
) -> None:
    payment = a_payment(
        PaymentStatus.PROCESSING if held else PaymentStatus.SUCCESS,
        hold_reason=HoldReason.AMOUNT_MISMATCH if held else None,
        attempt=an_attempt(AttemptStatus.PAID, gateway_id=ours),
    )
    assert payment.attempt is not None
    said = evidence(GatewayResult.PAID, gateway_id=theirs, money=Money(70_000))
    decision = decide(payment, payment.attempt, said, now=LATER)
    assert became(payment, decision) == word
    assert [posting.money for posting in decision.postings] == [Money(70_000)] * (word == "+case")
    assert decision.after.status is payment.status


def test_the_first_number_of_what_people_say_was_paid_is_its_own_and_the_next_is_another() -> None:
    asserted = an_attempt(AttemptStatus.PAID, gateway_id="ORDER-1", paid_under=())
    payment = a_payment(PaymentStatus.SUCCESS, attempt=asserted)
    first = decide(payment, asserted, evidence(GatewayResult.PAID, gateway_id="G1"), now=LATER)
    assert first.attempt is not None
    assert (first.attempt.gateway_id, first.attempt.paid_under) == ("G1", ("G1",))
    assert first.postings == ()
    again = decide(payment, first.attempt, evidence(GatewayResult.PAID, gateway_id="G1"), now=LATER)
    assert not again.changed
    other = decide(payment, first.attempt, evidence(GatewayResult.PAID, gateway_id="G2"), now=LATER)
    assert became(payment, other) == "+case"


@pytest.mark.parametrize("unread", [None, Money(0)], ids=["none", "zero"])
@pytest.mark.parametrize("status", [PaymentStatus.PROCESSING, PaymentStatus.EXPIRED])
def test_money_that_could_not_be_read_at_first_is_booked_when_it_can(
    status: PaymentStatus, unread: Money | None
) -> None:
    payment = a_payment(status)
    first = decide(payment, payment.attempt, evidence(GatewayResult.PAID, money=unread), now=LATER)
    assert first.case is not None
    assert first.postings == ()
    second = decide(
        first.after, first.attempt, evidence(GatewayResult.PAID), now=LATER, bills_open=False
    )
    assert [posting.money for posting in second.postings] == [Money(200_000)]


@pytest.mark.parametrize("unread", [None, Money(0)], ids=["none", "zero"])
def test_a_second_payment_that_could_not_be_read_at_first_is_booked_when_it_can(
    unread: Money | None,
) -> None:
    paid = an_attempt(AttemptStatus.PAID, gateway_id="G1")
    payment = a_payment(PaymentStatus.SUCCESS, attempt=paid)
    said = evidence(GatewayResult.PAID, gateway_id="G2")
    first = decide(payment, paid, replace(said, money=unread), now=LATER)
    assert (first.case, first.postings) == (CaseKind.PAID_TWICE, ())
    second = decide(first.after, first.attempt, said, now=LATER)
    assert [posting.money for posting in second.postings] == [Money(200_000)]
    assert not decide(second.after, second.attempt, said, now=LATER).changed


def test_a_second_payment_is_booked_once_however_often_it_is_told() -> None:
    payment = a_payment(
        PaymentStatus.SUCCESS, attempt=an_attempt(AttemptStatus.PAID, gateway_id="G1")
    )
    assert payment.attempt is not None
    said = evidence(GatewayResult.PAID, gateway_id="G2")
    first = decide(payment, payment.attempt, said, now=LATER)
    again = decide(
        first.after, first.attempt, replace(said, source=EvidenceSource.SETTLEMENT), now=LATER
    )
    assert first.case is CaseKind.PAID_TWICE
    assert again.postings == ()


@pytest.mark.parametrize("status", sorted(ENDED))
@pytest.mark.parametrize("grade", EvidenceSource)
def test_late_money_is_believed_when_proven_and_a_banks_notice_is_proof(
    status: PaymentStatus, grade: EvidenceSource | None
) -> None:
    for method in (PaymentMethod.VNPAY_QR, PaymentMethod.BANK_TRANSFER):
        payment = a_payment(status, method=method, expires_at=NOW, completed_at=NOW)
        payment = replace(payment, attempt=replace(payment.attempt, status=_end_of(status)))  # type: ignore[arg-type, type-var]
        assert payment.attempt is not None
        decision = decide(
            payment, payment.attempt, evidence(GatewayResult.PAID, source=grade), now=LATER
        )
        proof = grade in PROOFS or method is PaymentMethod.BANK_TRANSFER
        believed = proof and grade is not EvidenceSource.CLIENT
        assert became(payment, decision) == ("late" if believed else "ask")


def _end_of(status: PaymentStatus) -> AttemptStatus:
    return AttemptStatus({"FAILED": "DECLINED"}.get(status, status))


def test_too_much_pays_the_bill_and_the_rest_is_the_customers() -> None:
    payment = a_payment()
    assert payment.attempt is not None
    decision = decide(
        payment, payment.attempt, evidence(GatewayResult.PAID, money=Money(250_000)), now=LATER
    )
    assert [(posting.credit, posting.money.amount) for posting in decision.postings] == [
        (Account.CUSTOMER_RECEIVABLE, 200_000),
        (Account.CUSTOMER_CREDIT, 50_000),
    ]


def test_what_the_gateway_says_of_itself_is_kept_beside_the_attempt() -> None:
    payment = a_payment(attempt=an_attempt(AttemptStatus.SENT))
    assert payment.attempt is not None
    said = Evidence(
        source=EvidenceSource.INQUIRY,
        origin="test",
        result=GatewayResult.ACCEPTED,
        gateway_id="G1",
        payment_url="https://pay",
        qr_payload="0002",
    )
    after = decide(payment, payment.attempt, said, now=LATER).after
    assert (after.payment_url, after.qr_payload) == ("https://pay", "0002")
    paid = decide(after, after.attempt, evidence(gateway_id=None), now=LATER).attempt  # type: ignore[arg-type]
    assert (paid.gateway_id, paid.payment_url, paid.answered_at) == ("G1", "https://pay", LATER)


@pytest.mark.parametrize("status", sorted(ENDED))
def test_a_suspicion_about_a_payment_that_has_ended_is_a_case_once(status: PaymentStatus) -> None:
    payment = a_payment(status, completed_at=NOW)
    payment = replace(payment, attempt=replace(payment.attempt, status=_end_of(status)))  # type: ignore[arg-type, type-var]
    assert payment.attempt is not None
    said = replace(
        evidence(GatewayResult.SUSPICIOUS, money=None),
        failure=Failure(code="07", message="nghi ngờ"),
    )
    first = decide(payment, payment.attempt, said, now=LATER)
    assert (first.case, first.after.status, first.postings) == (CaseKind.SUSPICIOUS, status, ())
    again = decide(
        first.after, first.attempt, replace(said, source=EvidenceSource.INQUIRY), now=LATER
    )
    assert not again.changed


def test_money_that_comes_for_a_suspected_payment_is_booked_once_and_waits() -> None:
    payment = a_payment(hold_reason=HoldReason.GATEWAY_SUSPICIOUS)
    assert payment.attempt is not None
    first = decide(payment, payment.attempt, evidence(GatewayResult.PAID), now=LATER)
    assert [posting.credit for posting in first.postings] == [Account.SUSPENSE]
    assert first.after.hold_reason is HoldReason.GATEWAY_SUSPICIOUS
    again = decide(
        first.after,
        first.attempt,
        evidence(GatewayResult.PAID, source=EvidenceSource.SETTLEMENT),
        now=LATER,
    )
    assert not again.changed
