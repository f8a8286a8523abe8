"""Every pair of a payment's state and a statement, against a table written by hand."""

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
    OUR_OWN,
    PROOFS,
    ROWS,
    STATEMENTS,
    Row,
    cell_of,
    closings,
    each_state,
    each_statement,
    statement_of,
)


def cell_by_decision(
    row: Row,
    statement: str,
    source: EvidenceSource | None,
    closing: Closing | None = None,
    *,
    bills_open: bool = True,
) -> str:
    assert row.payment.attempt is not None
    try:
        decision = decide(
            row.payment,
            row.payment.attempt,
            statement_of(statement, source),
            now=LATER,
            closing=closing,
            bills_open=bills_open,
        )
    except TransitionRefused:
        return "no"
    return cell_of(row.payment, decision)


def test_the_table_names_every_possible_state() -> None:
    named = {
        (row.payment.status, row.payment.attempt.status, row.payment.hold_reason is not None)
        for row in ROWS
        if row.payment.attempt
    }
    assert len(named) == len(ROWS)
    assert {status for status, _, _ in named} == set(PaymentStatus)
    assert {attempt for _, attempt, _ in named} == set(AttemptStatus)
    results = {statement_of(statement, EvidenceSource.INQUIRY).result for statement in STATEMENTS}
    assert results == set(GatewayResult) - {GatewayResult.DECIDED}, (
        "test_case_decisions.py tests DECIDED"
    )


@each_state
@each_statement
@pytest.mark.invariant(13)
def test_every_statement_does_what_the_table_says(row: Row, statement: str) -> None:
    for source in (None, *EvidenceSource):
        if source is None and statement not in OUR_OWN:
            continue
        for closing in closings(statement):
            for bills_open in (True, False):
                expected = row.cells[statement]
                if expected.startswith("late"):
                    if source not in PROOFS:
                        expected = "ask"
                    elif not bills_open:
                        expected = "late+"
                if (source, statement, expected) == (
                    EvidenceSource.WEBHOOK,
                    "UNKNOWN",
                    "·",
                ) and _is_open(row):
                    expected = "ask"  # a verified call that contradicts itself
                if (statement, expected, closing) == ("NOT_STARTED", "FAILED", Closing.CANCELLED):
                    expected = "CANCELLED"
                if source is EvidenceSource.CLIENT:
                    expected = "ask"
                cell = cell_by_decision(row, statement, source, closing, bills_open=bills_open)
                assert cell == expected, (source, closing, bills_open)


def _is_open(row: Row) -> bool:
    return not row.payment.is_final and row.payment.hold_reason is None


@each_statement
@pytest.mark.parametrize("source", [None, *EvidenceSource])
@pytest.mark.parametrize("gateway_id", ["G1", "G2", None])
@pytest.mark.invariant(2)
def test_success_is_never_left(
    statement: str, source: EvidenceSource | None, gateway_id: str | None
) -> None:
    if source is None and statement not in OUR_OWN:
        return
    payment = a_payment(
        PaymentStatus.SUCCESS, attempt=an_attempt(AttemptStatus.PAID, gateway_id="G1")
    )
    assert payment.attempt is not None
    for closing in (None, *Closing):
        decision = decide(
            payment,
            payment.attempt,
            statement_of(statement, source, gateway_id),
            now=LATER,
            closing=closing,
        )
        assert decision.after.status is PaymentStatus.SUCCESS
        assert decision.effect is Effect.NONE


def test_only_a_decline_or_a_call_without_connection_fails_a_payment() -> None:
    failing = {
        statement
        for row in ROWS
        for statement, cell in row.cells.items()
        if cell == "FAILED" and row.payment.status is not PaymentStatus.FAILED
    }
    assert failing == {"DECLINED", "NOT_CONNECTED", "NOT_STARTED"}


def test_an_unknown_result_never_ends_a_payment() -> None:
    assert {row.cells["UNKNOWN"] for row in ROWS} == {"·", "lost"}


@pytest.mark.parametrize(
    "result", [result for result in GatewayResult if result.value not in {*OUR_OWN, "DECIDED"}]
)
def test_our_own_statements_say_nothing_about_money(result: GatewayResult) -> None:
    with pytest.raises(AssertionError):
        evidence(result, source=None)


@pytest.mark.parametrize("held", [True, False], ids=["held", "success"])
@pytest.mark.parametrize(
    ("known", "reported", "cell"),
    [("G1", "G2", "+case"), ("G1", "G1", "·"), ("G1", None, "·"), (None, "G2", "named")],
)
def test_a_reference_paid_under_two_numbers_is_a_case(
    held: bool, known: str | None, reported: str | None, cell: str
) -> None:
    payment = a_payment(
        PaymentStatus.PROCESSING if held else PaymentStatus.SUCCESS,
        hold_reason=HoldReason.AMOUNT_MISMATCH if held else None,
        attempt=an_attempt(AttemptStatus.PAID, gateway_id=known),
    )
    assert payment.attempt is not None
    statement = evidence(GatewayResult.PAID, gateway_id=reported, money=Money(70_000))
    decision = decide(payment, payment.attempt, statement, now=LATER)
    assert cell_of(payment, decision) == cell
    assert [posting.money for posting in decision.postings] == [Money(70_000)] * (cell == "+case")
    assert decision.after.status is payment.status


def test_the_first_number_after_two_people_asserted_a_payment_is_its_own() -> None:
    asserted = an_attempt(AttemptStatus.PAID, gateway_id="ORDER-1", paid_under=())
    payment = a_payment(PaymentStatus.SUCCESS, attempt=asserted)
    first = decide(payment, asserted, evidence(GatewayResult.PAID, gateway_id="G1"), now=LATER)
    assert first.attempt is not None
    assert (first.attempt.gateway_id, first.attempt.paid_under) == ("G1", ("G1",))
    assert first.postings == ()
    again = decide(payment, first.attempt, evidence(GatewayResult.PAID, gateway_id="G1"), now=LATER)
    assert not again.changed
    other = decide(payment, first.attempt, evidence(GatewayResult.PAID, gateway_id="G2"), now=LATER)
    assert cell_of(payment, other) == "+case"


@pytest.mark.parametrize("unread", [None, Money(0)], ids=["none", "zero"])
@pytest.mark.parametrize("status", [PaymentStatus.PROCESSING, PaymentStatus.EXPIRED])
def test_an_unreadable_sum_is_booked_once_it_is_known(
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
def test_the_unreadable_sum_of_a_second_payment_is_booked_once_it_is_known(
    unread: Money | None,
) -> None:
    paid = an_attempt(AttemptStatus.PAID, gateway_id="G1")
    payment = a_payment(PaymentStatus.SUCCESS, attempt=paid)
    statement = evidence(GatewayResult.PAID, gateway_id="G2")
    first = decide(payment, paid, replace(statement, money=unread), now=LATER)
    assert (first.case, first.postings) == (CaseKind.PAID_TWICE, ())
    second = decide(first.after, first.attempt, statement, now=LATER)
    assert [posting.money for posting in second.postings] == [Money(200_000)]
    assert not decide(second.after, second.attempt, statement, now=LATER).changed


def test_a_second_payment_is_booked_once_however_often_it_is_reported() -> None:
    payment = a_payment(
        PaymentStatus.SUCCESS, attempt=an_attempt(AttemptStatus.PAID, gateway_id="G1")
    )
    assert payment.attempt is not None
    statement = evidence(GatewayResult.PAID, gateway_id="G2")
    first = decide(payment, payment.attempt, statement, now=LATER)
    again = decide(
        first.after, first.attempt, replace(statement, source=EvidenceSource.SETTLEMENT), now=LATER
    )
    assert first.case is CaseKind.PAID_TWICE
    assert again.postings == ()


@pytest.mark.parametrize("status", sorted(ENDED))
@pytest.mark.parametrize("source", EvidenceSource)
def test_late_money_needs_proof_and_a_banks_notice_is_proof(
    status: PaymentStatus, source: EvidenceSource | None
) -> None:
    for method in (PaymentMethod.VNPAY_QR, PaymentMethod.BANK_TRANSFER):
        payment = a_payment(status, method=method, expires_at=NOW, completed_at=NOW)
        payment = replace(payment, attempt=replace(payment.attempt, status=_end_of(status)))  # type: ignore[arg-type, type-var]
        assert payment.attempt is not None
        decision = decide(
            payment, payment.attempt, evidence(GatewayResult.PAID, source=source), now=LATER
        )
        is_proof = source in PROOFS or method is PaymentMethod.BANK_TRANSFER
        believed = is_proof and source is not EvidenceSource.CLIENT
        assert cell_of(payment, decision) == ("late" if believed else "ask")


def _end_of(status: PaymentStatus) -> AttemptStatus:
    return AttemptStatus({"FAILED": "DECLINED"}.get(status, status))


def test_an_excess_is_credited_to_the_customer() -> None:
    payment = a_payment()
    assert payment.attempt is not None
    decision = decide(
        payment, payment.attempt, evidence(GatewayResult.PAID, money=Money(250_000)), now=LATER
    )
    assert [(posting.credit, posting.money.amount) for posting in decision.postings] == [
        (Account.CUSTOMER_RECEIVABLE, 200_000),
        (Account.CUSTOMER_CREDIT, 50_000),
    ]


def test_the_gateways_id_address_and_qr_are_stored_with_the_attempt() -> None:
    payment = a_payment(attempt=an_attempt(AttemptStatus.SENT))
    assert payment.attempt is not None
    statement = Evidence(
        source=EvidenceSource.INQUIRY,
        origin="test",
        result=GatewayResult.ACCEPTED,
        gateway_id="G1",
        payment_url="https://pay",
        qr_payload="0002",
    )
    after = decide(payment, payment.attempt, statement, now=LATER).after
    assert (after.payment_url, after.qr_payload) == ("https://pay", "0002")
    paid = decide(after, after.attempt, evidence(gateway_id=None), now=LATER).attempt  # type: ignore[arg-type]
    assert (paid.gateway_id, paid.payment_url, paid.answered_at) == ("G1", "https://pay", LATER)


@pytest.mark.parametrize("status", sorted(ENDED))
def test_a_suspicion_about_an_ended_payment_opens_one_case(status: PaymentStatus) -> None:
    payment = a_payment(status, completed_at=NOW)
    payment = replace(payment, attempt=replace(payment.attempt, status=_end_of(status)))  # type: ignore[arg-type, type-var]
    assert payment.attempt is not None
    statement = replace(
        evidence(GatewayResult.SUSPICIOUS, money=None),
        failure=Failure(code="07", message="nghi ngờ"),
    )
    first = decide(payment, payment.attempt, statement, now=LATER)
    assert (first.case, first.after.status, first.postings) == (CaseKind.SUSPICIOUS, status, ())
    again = decide(
        first.after, first.attempt, replace(statement, source=EvidenceSource.INQUIRY), now=LATER
    )
    assert not again.changed


def test_money_for_a_suspicious_payment_goes_to_suspense_once() -> None:
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
