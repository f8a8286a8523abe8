"""What evidence changes: payment status × gateway result → decision. All functions are pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from domain import ledger
from domain.attempts import Attempt, AttemptStatus
from domain.case_decisions import decide_case
from domain.cases import Case, CaseKind
from domain.ledger import Posting
from domain.methods import GatewayName
from domain.payment_evidence import (
    Closing,
    Decision,
    Effect,
    Evidence,
    EvidenceSource,
    GatewayResult,
)
from domain.payments import HoldReason, Payment, PaymentStatus
from domain.verdicts import Verdict


def decide(
    payment: Payment,
    attempt: Attempt | None,
    evidence: Evidence,
    *,
    now: datetime,
    closing: Closing | None = None,
    bills_open: bool = True,
    case: Case | None = None,
) -> Decision:
    """
    Return what *evidence* about *attempt* changes of *payment*.

    `closing` is how an unpaid payment ends. `bills_open` matters for a payment that ended without
    success: its bills are neither paid nor held by another live payment.

    With two people's decision, `case` is theirs; only such a decision can concern cash and raise a
    refusal. With a gateway's evidence, `case` is the payment's open case about an unreadable sum,
    which only the exact sum settles.
    """
    decision = _decide(
        payment,
        attempt,
        evidence,
        now=now,
        closing=closing,
        bills_open=bills_open,
        case=case,
    )
    return replace(decision, verdict=_verdict(decision, evidence))


def _verdict(decision: Decision, evidence: Evidence) -> Verdict:
    """Return the answer to the gateway whose webhook carried the evidence."""
    if decision.case in {CaseKind.AMOUNT_MISMATCH, CaseKind.CURRENCY_MISMATCH}:
        return Verdict.WRONG_AMOUNT
    if decision.changed or decision.inquire:
        return Verdict.ACCEPTED
    is_over = evidence.result is GatewayResult.PAID or decision.payment.is_final
    return Verdict.ALREADY_DONE if is_over else Verdict.ACCEPTED


def _decide(
    payment: Payment,
    attempt: Attempt | None,
    evidence: Evidence,
    *,
    now: datetime,
    closing: Closing | None,
    bills_open: bool,
    case: Case | None,
) -> Decision:
    if evidence.decided is not None:
        assert case is not None, "a decision names its case"
        return decide_case(payment, case, evidence.decided, now, named=evidence.money)
    assert attempt is not None, "cash has no gateway evidence"
    if evidence.source is EvidenceSource.CLIENT:
        return Decision(payment=payment, attempt=attempt, changed=False, inquire=True)
    match payment.status:
        case PaymentStatus.PENDING | PaymentStatus.PROCESSING:
            if payment.hold_reason is not None:
                return _while_held(payment, attempt, evidence, now=now, case=case)
            return _while_open(payment, attempt, evidence, now=now, closing=closing)
        case PaymentStatus.SUCCESS:
            return _further_payment(payment, attempt, evidence, now=now)
        case PaymentStatus.FAILED | PaymentStatus.EXPIRED | PaymentStatus.CANCELLED:
            return _after_end(payment, attempt, evidence, now=now, bills_open=bills_open, case=case)
        case _:
            assert_never(payment.status)


def _while_open(
    payment: Payment,
    attempt: Attempt,
    evidence: Evidence,
    *,
    now: datetime,
    closing: Closing | None,
) -> Decision:
    match evidence.result:
        case GatewayResult.PAID:
            return _paid(payment, attempt, evidence, now=now)
        case GatewayResult.NOT_STARTED:
            if attempt.status is not AttemptStatus.CREATED:  # another process has sent it
                return _unchanged(payment, attempt)
            if closing is Closing.CANCELLED:
                ended = _answered(attempt, AttemptStatus.CANCELLED, evidence, now)
                return _release(payment, ended, PaymentStatus.CANCELLED, now)
            failed = _answered(attempt, AttemptStatus.DECLINED, evidence, now)
            return _release(payment, failed, PaymentStatus.FAILED, now)
        case GatewayResult.NOT_CONNECTED if attempt.status not in {
            AttemptStatus.CREATED,
            AttemptStatus.SENT,
        }:
            return _unchanged(payment, attempt)
        case GatewayResult.DECLINED | GatewayResult.NOT_CONNECTED:
            failed = _answered(attempt, AttemptStatus.DECLINED, evidence, now)
            return _release(payment, failed, PaymentStatus.FAILED, now)
        case GatewayResult.EXPIRED:
            expired = _answered(attempt, AttemptStatus.EXPIRED, evidence, now)
            return _release(payment, expired, PaymentStatus.EXPIRED, now)
        case GatewayResult.SUSPICIOUS:
            answered = _answered(attempt, attempt.status, evidence, now)
            return _hold(
                payment, answered, HoldReason.GATEWAY_SUSPICIOUS, CaseKind.SUSPICIOUS, (), now
            )
        case GatewayResult.GAVE_UP:
            reason, case = HoldReason.UNKNOWN_OUTCOME, CaseKind.UNKNOWN_OUTCOME
            return _hold(payment, attempt, reason, case, (), now)
        case GatewayResult.UNPAID if closing is not None:
            ended = _answered(attempt, AttemptStatus(closing.value), evidence, now)
            return _release(payment, ended, PaymentStatus(closing.value), now)
        case GatewayResult.UNPAID:
            if attempt.status is not AttemptStatus.UNKNOWN:
                return _unchanged(payment, attempt)
            known = _answered(attempt, AttemptStatus.ACCEPTED, evidence, now)
            # Without a QR or an address the customer cannot pay, so the payment stays flagged.
            lost = known.qr_payload is None and known.payment_url is None
            return Decision(payment=payment.updated(now, needs_verification=lost), attempt=known)
        case GatewayResult.ACCEPTED:
            if attempt.status not in {AttemptStatus.SENT, AttemptStatus.UNKNOWN}:
                return _unchanged(payment, attempt)
            accepted = _answered(attempt, AttemptStatus.ACCEPTED, evidence, now)
            verified = payment.updated(now, needs_verification=False)
            return Decision(payment=verified, attempt=accepted)
        case GatewayResult.UNKNOWN:
            if attempt.status is not AttemptStatus.SENT:
                # A verified call that contradicts itself is settled by an inquiry.
                is_call = evidence.source is EvidenceSource.WEBHOOK
                return Decision(payment=payment, attempt=attempt, changed=False, inquire=is_call)
            unknown = replace(attempt, status=AttemptStatus.UNKNOWN)
            unverified = payment.updated(now, needs_verification=True)
            return Decision(payment=unverified, attempt=unknown, inquire=True)
        case GatewayResult.DECIDED:
            raise AssertionError("decisions of people are handled by decide_case")
        case _:
            assert_never(evidence.result)


def _paid(payment: Payment, attempt: Attempt, evidence: Evidence, *, now: datetime) -> Decision:
    received = evidence.money
    attempt = _answered(attempt, _status_of_paid(attempt, evidence), evidence, now)
    if evidence.unreadable is not None:
        return _hold(
            payment, attempt, HoldReason.AMOUNT_MISMATCH, CaseKind.AMOUNT_MISMATCH, (), now
        )
    if received is None or received.currency is not attempt.money.currency:
        return _hold(
            payment,
            attempt,
            HoldReason.CURRENCY_MISMATCH,
            CaseKind.CURRENCY_MISMATCH,
            ledger.to_suspense(payment, received),
            now,
        )
    if received.amount < attempt.money.amount:
        return _hold(
            payment,
            attempt,
            HoldReason.AMOUNT_MISMATCH,
            CaseKind.AMOUNT_MISMATCH,
            ledger.to_suspense(payment, received),
            now,
        )
    return Decision(
        payment=payment.become(PaymentStatus.SUCCESS, now),
        attempt=attempt,
        effect=Effect.COLLECT,
        postings=ledger.collected(payment, received),
    )


def _while_held(
    payment: Payment, attempt: Attempt, evidence: Evidence, *, now: datetime, case: Case | None
) -> Decision:
    """Return the decision about a held payment: only the exact sum of an unreadable one pays it."""
    if evidence.result is not GatewayResult.PAID or attempt.status is AttemptStatus.PAID:
        return _further_payment(payment, attempt, evidence, now=now)
    known = case is not None and case.is_under(evidence.gateway_id)
    if evidence.unreadable is not None:
        kind = None if known else CaseKind.AMOUNT_MISMATCH
        return Decision(payment=payment, attempt=attempt, changed=not known, case=kind)
    if _status_of_paid(attempt, evidence) is not AttemptStatus.PAID:
        return _unchanged(payment, attempt)
    unread_before = case is not None and payment.hold_reason is HoldReason.AMOUNT_MISMATCH
    if unread_before and evidence.money == attempt.money:
        return _paid(payment, attempt, evidence, now=now)
    return Decision(
        payment=payment.updated(now),
        attempt=_answered(attempt, AttemptStatus.PAID, evidence, now),
        postings=ledger.to_suspense(payment, evidence.money),
        case=CaseKind.AMOUNT_MISMATCH if case is not None and not known else None,
    )


def _further_payment(
    payment: Payment, attempt: Attempt, evidence: Evidence, *, now: datetime
) -> Decision:
    """
    Return the decision about a paid reference: each new gateway number is a second payment, once.

    Where two people asserted the payment and no number is known, the first number is its own.
    """
    number = evidence.gateway_id
    known = number is None or number in attempt.paid_under
    if evidence.result is not GatewayResult.PAID or known:
        return _unchanged(payment, attempt)
    if not attempt.paid_under:
        named = replace(attempt, gateway_id=number, paid_under=(number,))
        return Decision(payment=payment.updated(now), attempt=named)
    booked = ledger.to_suspense(payment, evidence.money)  # empty for an unreadable sum
    return Decision(
        payment=payment,
        attempt=replace(attempt, paid_under=(*attempt.paid_under, number)) if booked else attempt,
        postings=booked,
        case=CaseKind.PAID_TWICE,
    )


def _after_end(
    payment: Payment,
    attempt: Attempt,
    evidence: Evidence,
    *,
    now: datetime,
    bills_open: bool,
    case: Case | None,
) -> Decision:
    if attempt.status is AttemptStatus.PAID:
        return _further_payment(payment, attempt, evidence, now=now)
    if evidence.result is GatewayResult.SUSPICIOUS:
        return _suspected(payment, attempt, evidence, now=now)
    if evidence.result is not GatewayResult.PAID:
        return _unchanged(payment, attempt)
    proven = (
        evidence.source in {EvidenceSource.INQUIRY, EvidenceSource.SETTLEMENT}
        or attempt.gateway is GatewayName.BANK
    )
    if not proven:
        return Decision(payment=payment, attempt=attempt, changed=False, inquire=True)
    received = evidence.money
    fits = (
        received is not None
        and received.currency is attempt.money.currency
        and received.amount >= attempt.money.amount
        and (case is None or received == attempt.money)
    )
    paid = _answered(attempt, _status_of_paid(attempt, evidence), evidence, now)
    if not (fits and bills_open):
        return Decision(
            payment=payment.updated(now),
            attempt=paid,
            postings=ledger.to_suspense(payment, received),
            case=CaseKind.LATE_MONEY,
        )
    assert received is not None
    return Decision(
        payment=payment.succeed_late(now),
        attempt=paid,
        effect=Effect.COLLECT_LATE,
        postings=ledger.collected(payment, received),
    )


def _suspected(
    payment: Payment, attempt: Attempt, evidence: Evidence, *, now: datetime
) -> Decision:
    """Open one case: money may have left the customer of a payment that has ended."""
    if attempt.failure == evidence.failure:
        return _unchanged(payment, attempt)
    return Decision(
        payment=payment.updated(now),
        attempt=_answered(attempt, attempt.status, evidence, now),
        case=CaseKind.SUSPICIOUS,
    )


def _hold(
    payment: Payment,
    attempt: Attempt,
    reason: HoldReason,
    case: CaseKind,
    postings: tuple[Posting, ...],
    now: datetime,
) -> Decision:
    return Decision(
        payment=payment.updated(now, hold_reason=reason, needs_verification=True),
        attempt=attempt,
        postings=postings,
        case=case,
    )


def _release(payment: Payment, attempt: Attempt, status: PaymentStatus, now: datetime) -> Decision:
    return Decision(payment=payment.become(status, now), attempt=attempt, effect=Effect.RELEASE)


def _unchanged(payment: Payment, attempt: Attempt) -> Decision:
    return Decision(payment=payment, attempt=attempt, changed=False)


def _status_of_paid(attempt: Attempt, evidence: Evidence) -> AttemptStatus:
    """Return PAID if the sum is known; an exact sum may follow an unreadable one."""
    known = evidence.money is not None and evidence.money.amount > 0
    return AttemptStatus.PAID if known else attempt.status


def _answered(
    attempt: Attempt, status: AttemptStatus, evidence: Evidence, now: datetime
) -> Attempt:
    return replace(
        attempt,
        status=status,
        answered_at=now,
        gateway_id=evidence.gateway_id or attempt.gateway_id,
        payment_url=evidence.payment_url or attempt.payment_url,
        qr_payload=evidence.qr_payload or attempt.qr_payload,
        failure=evidence.failure,
        paid_under=(
            (evidence.gateway_id,)
            if status is AttemptStatus.PAID and evidence.gateway_id
            else attempt.paid_under
        ),
    )
