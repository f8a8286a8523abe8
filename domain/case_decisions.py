"""
What a decision of two people about a payment's case does to its money. All functions are pure.

              a held payment         one that ended     one that succeeded
    APPLY     SUCCESS                SUCCESS, late      Revenue gets it again (RECORD_REFUSED)
    CREDIT    CANCELLED, credited    credited           credited
    REFUND    CANCELLED, refunded    refunded           refunded
    CLOSE     CANCELLED              nothing            nothing

Which kind of case takes which decision is the table EFFECTS in `domain/cases.py`.

APPLY needs money that covers the bill. A SUSPICIOUS or UNKNOWN_OUTCOME case has booked nothing, so
two people may assert that the money came. CREDIT and REFUND need money; CLOSE needs that no money
without an owner is left. For an unreadable sum both people name what came: always for CREDIT and
REFUND, for APPLY unless it is exactly the requested sum. It is booked with their decision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from domain import ledger
from domain.attempts import Attempt, AttemptStatus
from domain.bills import AmountMismatch
from domain.cases import ASSERTED, Case, CaseDecision, CaseEffect, CaseKind, PaymentBooks
from domain.ledger import Account, Posting
from domain.money import Currency, Money
from domain.payment_evidence import Decision, Effect, Refund
from domain.payments import (
    LATE_SUCCESS_FROM,
    Custody,
    Payment,
    PaymentStatus,
    PostingStatus,
    TransitionRefused,
)
from domain.refusals import InvalidInput
from domain.sentences import DecisionReason, InputProblem

# Kinds that hold a payment; the decision about such a case ends it.
HOLDING = frozenset(
    {
        CaseKind.AMOUNT_MISMATCH,
        CaseKind.CURRENCY_MISMATCH,
        CaseKind.SUSPICIOUS,
        CaseKind.UNKNOWN_OUTCOME,
    }
)


def decide_case(
    payment: Payment,
    case: Case,
    wanted: CaseDecision,
    now: datetime,
    *,
    named: Money | None = None,
) -> Decision:
    """
    Return what the decision *wanted* does to *payment*. Raises a refusal if it is impossible.

    `named` is the sum that people name if the gateway's is unreadable (see `check_named`).
    """
    assert case.books is not None, "the case has a payment"
    if case.unreadable is not None and wanted is not CaseDecision.CLOSE:
        return _by_named_sum(payment, case, wanted, now, named=named)
    match case.effect(wanted):
        case CaseEffect.RECORD:
            return _record(payment, case.books, now)
        case CaseEffect.PAY:
            return _pay(payment, case, case.books, now)
        case CaseEffect.CREDIT:
            return _credit(payment, case, now)
        case CaseEffect.REFUND:
            return _refund(payment, case, now)
        case CaseEffect.END:
            if case.undecided_amount or case.foreign_money:
                raise _refused(payment, DecisionReason.MONEY_IS_LEFT)
            return _end(payment, case, now)
        case _:
            raise AssertionError(f"{case.kind} is not about a payment's money")


def _pay(payment: Payment, case: Case, books: PaymentBooks, now: datetime) -> Decision:
    _check_not_succeeded(payment)
    _check_in_vnd(payment, case)
    was_paid = payment.attempt is not None and payment.attempt.status is AttemptStatus.PAID
    asserted = case.kind in ASSERTED and books.suspense == 0 and not was_paid
    if not asserted and books.suspense < payment.amount:
        raise NotCovered(id=payment.id, expected=payment.amount, requested=books.suspense)
    if asserted:
        postings = ledger.collected(payment, payment.money)
    else:
        postings = ledger.from_suspense(
            payment, excess=max(0, case.undecided_amount - payment.amount)
        )
    attempt = payment.attempt
    if attempt is not None and attempt.status is not AttemptStatus.PAID:
        # Only a suspicion names a payment; else the id may be the gateway's of an order or a page.
        is_payments = attempt.gateway_id is not None and case.kind is CaseKind.SUSPICIOUS
        numbers = (attempt.gateway_id,) if is_payments else ()
        attempt = replace(attempt, status=AttemptStatus.PAID, answered_at=now, paid_under=numbers)
    return _succeed(replace(payment, attempt=attempt), case, now, postings)


def _succeed(
    payment: Payment, case: Case, now: datetime, postings: tuple[Posting, ...]
) -> Decision:
    """Return the success by *postings*. Raises DecisionRefused if late and its bills are taken."""
    if payment.status not in LATE_SUCCESS_FROM:
        return Decision(
            payment=payment.become(PaymentStatus.SUCCESS, now),
            attempt=payment.attempt,
            effect=Effect.COLLECT,
            postings=postings,
        )
    if case.books is None or not case.books.bills_open:
        raise _refused(payment, DecisionReason.BILLS_ARE_TAKEN)
    return Decision(
        payment=payment.succeed_late(now),
        attempt=payment.attempt,
        effect=Effect.COLLECT_LATE,
        postings=postings,
    )


def _check_not_succeeded(payment: Payment) -> None:
    if payment.status is PaymentStatus.SUCCESS:
        raise _refused(payment, DecisionReason.HAS_SUCCEEDED)


def check_named(case: Case, wanted: CaseDecision, amount: int | None) -> None:
    """Raise InvalidInput if *amount* is named but must not be, or is missing but needed."""
    if amount is not None and (wanted is CaseDecision.CLOSE or case.unreadable is None):
        raise InvalidInput.because(InputProblem.SUM_NOT_NEEDED, field="amount")
    needed = case.unreadable is not None and wanted in {CaseDecision.CREDIT, CaseDecision.REFUND}
    if needed and amount is None:
        raise InvalidInput.because(
            InputProblem.SUM_NEEDED, field="amount", unreadable=case.unreadable
        )


def _by_named_sum(
    payment: Payment, case: Case, wanted: CaseDecision, now: datetime, *, named: Money | None
) -> Decision:
    """Return the decision that books the sum that two people name in place of an unreadable one."""
    attempt = payment.attempt
    assert attempt is not None, "an unreadable sum comes from a gateway"
    assert named is not None or wanted is CaseDecision.APPLY, "CREDIT and REFUND need a named sum"
    received = named or attempt.money
    payment = replace(payment, attempt=_paid_under(attempt, case.number, now))
    match wanted:
        case CaseDecision.APPLY:
            _check_not_succeeded(payment)
            if received.amount < attempt.money.amount:
                raise NotCovered(
                    id=payment.id, expected=attempt.money.amount, requested=received.amount
                )
            return _succeed(payment, case, now, ledger.collected(payment, received))
        case CaseDecision.CREDIT:
            if received.currency is not Currency.VND:
                raise _refused(payment, DecisionReason.IN_ANOTHER_CURRENCY)
            postings = ledger.credited(payment, Account.SUSPENSE, received.amount)
            return replace(
                _end(payment, case, now), postings=ledger.to_suspense(payment, received) + postings
            )
        case CaseDecision.REFUND:
            return replace(
                _end(payment, case, now),
                postings=ledger.to_suspense(payment, received),
                refund=Refund(source=Account.SUSPENSE, money=received),
            )
        case CaseDecision.CLOSE:
            raise AssertionError("CLOSE asserts no sum")


def _paid_under(attempt: Attempt, number: str | None, now: datetime) -> Attempt:
    """Return the attempt as paid, with *number* known, so that a later notice changes nothing."""
    numbers = attempt.paid_under
    if number is not None and number not in numbers:
        numbers = (*numbers, number)
    if attempt.status is AttemptStatus.PAID:
        return replace(attempt, paid_under=numbers)
    return replace(attempt, status=AttemptStatus.PAID, answered_at=now, paid_under=numbers)


def _record(payment: Payment, books: PaymentBooks, now: datetime) -> Decision:
    if payment.posting_status is not PostingStatus.FAILED:
        raise _refused(payment, DecisionReason.RECORD_IS_NOT_REFUSED)
    if books.receivable < payment.amount:
        raise _refused(payment, DecisionReason.WAS_REVERSED)
    pending = payment.updated(now, posting_status=PostingStatus.PENDING)
    return Decision(payment=pending, attempt=payment.attempt, effect=Effect.RECORD)


def _credit(payment: Payment, case: Case, now: datetime) -> Decision:
    _check_in_vnd(payment, case)
    _check_money_waits(payment, case)
    _check_no_reversal_waits(payment, case)
    source = Account.CUSTOMER_RECEIVABLE if _is_of_record(case) else Account.SUSPENSE
    postings = ledger.credited(payment, source, case.undecided_amount)
    return replace(_end(payment, case, now), postings=postings)


def _refund(payment: Payment, case: Case, now: datetime) -> Decision:
    _check_money_waits(payment, case)
    _check_no_reversal_waits(payment, case)
    if _is_of_record(case) and payment.custody is Custody.HELD_BY_STAFF:
        raise _refused(payment, DecisionReason.CASH_IS_WITH_COLLECTOR)
    source = Account.CUSTOMER_RECEIVABLE if _is_of_record(case) else Account.SUSPENSE
    money = case.foreign_money or Money(case.undecided_amount, Currency.VND)
    return replace(_end(payment, case, now), refund=Refund(source=source, money=money))


def _end(payment: Payment, case: Case, now: datetime) -> Decision:
    """Return a held payment cancelled with its bills freed; another one with a new version only."""
    if payment.is_final or case.kind not in HOLDING:
        return Decision(payment=payment.updated(now), attempt=payment.attempt)
    return Decision(
        payment=payment.become(PaymentStatus.CANCELLED, now),
        attempt=_cancelled(payment.attempt, now),
        effect=Effect.RELEASE,
    )


def _cancelled(attempt: Attempt | None, now: datetime) -> Attempt | None:
    if attempt is None or attempt.status is AttemptStatus.PAID:
        return attempt
    return replace(attempt, status=AttemptStatus.CANCELLED, answered_at=now)


def _check_money_waits(payment: Payment, case: Case) -> None:
    if not case.undecided_amount and case.foreign_money is None:
        raise _refused(payment, DecisionReason.NO_MONEY_WAITS)


def _is_of_record(case: Case) -> bool:
    """Return whether the money stands on the bill that Revenue refused to record as paid."""
    return case.kind is CaseKind.RECORD_REFUSED


def _check_no_reversal_waits(payment: Payment, case: Case) -> None:
    if _is_of_record(case) and case.books is not None and case.books.refund_requested:
        raise _refused(payment, DecisionReason.REVERSAL_AWAITS_APPROVAL)


def _check_in_vnd(payment: Payment, case: Case) -> None:
    if case.foreign_money is not None:
        raise _refused(payment, DecisionReason.IN_ANOTHER_CURRENCY)


@dataclass(eq=False, kw_only=True)
class NotCovered(AmountMismatch):
    vi = (
        "Giao dịch {id} cần {expected}, mới có {requested}: không đủ để thanh toán. Hãy chọn CREDIT"
        " hoặc REFUND, hoặc CLOSE nếu không có tiền."
    )
    en = (
        "Payment {id} needs {expected}, and {requested} is there: the bill is not covered. Decide"
        " CREDIT or REFUND, or CLOSE where there is no money."
    )


@dataclass(eq=False, kw_only=True)
class DecisionRefused(TransitionRefused):
    vi = "Giao dịch {payment_id}: {reason}"
    en = "Payment {payment_id}: {reason}"

    reason: DecisionReason


def _refused(payment: Payment, reason: DecisionReason) -> DecisionRefused:
    return DecisionRefused(payment_id=payment.id, reason=reason)
