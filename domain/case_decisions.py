"""
What two people decide about a payment's case, and what becomes of the money: code that touches nothing.

              a held payment         one that ended          one that succeeded
    APPLY     SUCCESS                LATE_SUCCESS            Revenue is asked again (a refused record)
    CREDIT    CANCELLED, credited    credited                credited
    REFUND    CANCELLED, refunded    refunded                refunded
    CLOSE     CANCELLED              nothing                 nothing

APPLY needs money that covers the bill; of a suspicion or an outcome that nobody knows, where nothing is
booked, two people may assert that it came. CREDIT and REFUND need money, CLOSE that there is none left
without an owner. Of a sum that cannot be read both people name what came: for CREDIT and REFUND always,
for APPLY unless it is just what was asked for. It is booked with their decision.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from domain import ledger
from domain.attempts import Attempt, AttemptStatus
from domain.bills import AmountMismatch
from domain.cases import ASSERTED, Case, CaseDecision, CaseEffect, CaseKind, Standing
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

# What holds a payment, and so what the decision about ends it.
HOLDING = frozenset(
    {
        CaseKind.AMOUNT_MISMATCH,
        CaseKind.CURRENCY_MISMATCH,
        CaseKind.SUSPICIOUS,
        CaseKind.UNKNOWN_OUTCOME,
    }
)


def rule(
    payment: Payment,
    case: Case,
    wanted: CaseDecision,
    now: datetime,
    *,
    named: Money | None = None,
) -> Decision:
    """
    Return what the decision *wanted* makes of *payment*; raise a refusal where it can't be so.

    `named` is the sum that people name where the gateway's own cannot be read (see `check_named`).
    """
    assert case.standing is not None, "it is about a payment"
    if case.unreadable is not None and wanted is not CaseDecision.CLOSE:
        return _assert(payment, case, wanted, now, named=named)
    match case.effect(wanted):
        case CaseEffect.RECORD:
            return _record_again(payment, case.standing, now)
        case CaseEffect.PAY:
            return _apply(payment, case, case.standing, now)
        case CaseEffect.CREDIT:
            return _credit(payment, case, now)
        case CaseEffect.REFUND:
            return _refund(payment, case, now)
        case CaseEffect.END:
            if case.waiting or case.foreign:
                raise _unruly(
                    payment,
                    "còn tiền chưa có chủ. Hãy chọn CREDIT hoặc REFUND.",
                    "there is money without an owner. Decide CREDIT or REFUND.",
                )
            return _end(payment, case, now)
        case _:
            raise AssertionError(f"{case.kind} is not about a payment's money")


def _apply(payment: Payment, case: Case, standing: Standing, now: datetime) -> Decision:
    _not_succeeded(payment)
    _in_dong(payment, case)
    seen = payment.attempt is not None and payment.attempt.status is AttemptStatus.PAID
    asserted = case.kind in ASSERTED and standing.suspense == 0 and not seen
    if not asserted and standing.suspense < payment.amount:
        raise NotCovered(id=payment.id, expected=payment.amount, requested=standing.suspense)
    if asserted:
        postings = ledger.collected(payment, payment.money)
    else:
        postings = ledger.explained(payment, excess=max(0, case.waiting - payment.amount))
    attempt = payment.attempt
    if attempt is not None and attempt.status is not AttemptStatus.PAID:
        # Of an outcome that nobody knows no payment has a number yet: what we have may be an order's or a page's.
        told = attempt.gateway_id is not None and case.kind is CaseKind.SUSPICIOUS
        under = (attempt.gateway_id,) if told else ()
        attempt = replace(attempt, status=AttemptStatus.PAID, answered_at=now, paid_under=under)
    return _succeed(replace(payment, attempt=attempt), case, now, postings)


def _succeed(
    payment: Payment, case: Case, now: datetime, postings: tuple[Posting, ...]
) -> Decision:
    """Return the payment's success, by *postings*; a late one only while its bills are open."""
    if payment.status not in LATE_SUCCESS_FROM:
        return Decision(
            payment=payment.become(PaymentStatus.SUCCESS, now),
            attempt=payment.attempt,
            effect=Effect.COLLECT,
            postings=postings,
        )
    if case.standing is None or not case.standing.bills_open:
        raise _unruly(
            payment,
            "cước đã được thanh toán hoặc đang được thu bằng giao dịch khác. Hãy chọn CREDIT hoặc REFUND.",
            "its bills are paid or being collected by another payment. Decide CREDIT or REFUND.",
        )
    return Decision(
        payment=payment.succeed_late(now),
        attempt=payment.attempt,
        effect=Effect.COLLECT_LATE,
        postings=postings,
    )


def _not_succeeded(payment: Payment) -> None:
    if payment.status is PaymentStatus.SUCCESS:
        raise _unruly(
            payment,
            "đã thành công rồi. Hãy chọn CREDIT hoặc REFUND nếu còn tiền, không thì CLOSE.",
            "it has succeeded already. Decide CREDIT or REFUND if money is left, else CLOSE.",
        )


def check_named(case: Case, wanted: CaseDecision, amount: int | None) -> None:
    """Raise InvalidInput where somebody names a sum and must not, or names none and must."""
    if amount is not None and (wanted is CaseDecision.CLOSE or case.unreadable is None):
        raise InvalidInput(
            field="amount",
            problem_vi="chỉ nêu số tiền khi chọn APPLY, CREDIT hoặc REFUND cho hồ sơ mà số tiền của cổng"
            " không đọc được.",
            problem_en="name a sum only with APPLY, CREDIT or REFUND, of a case whose own sum cannot be read.",
        )
    needed = case.unreadable is not None and wanted in {CaseDecision.CREDIT, CaseDecision.REFUND}
    if needed and amount is None:
        raise InvalidInput(
            field="amount",
            problem_vi=f"cổng ghi số tiền là “{case.unreadable}”, không đọc được. Hãy đối chiếu sao kê"
            " và nêu số tiền đã đến.",
            problem_en=f"the gateway wrote the sum as “{case.unreadable}”, which cannot be read. Look at"
            " the statement and name what came.",
        )


def _assert(
    payment: Payment, case: Case, wanted: CaseDecision, now: datetime, *, named: Money | None
) -> Decision:
    """Book what two people say that came, of a sum that cannot be read, and do with it as they decide."""
    attempt = payment.attempt
    assert attempt is not None, "a gateway wrote it"
    assert named is not None or wanted is CaseDecision.APPLY, "no sum is guessed"
    came = named or attempt.money
    payment = replace(payment, attempt=_paid_under(attempt, case.number, now))
    match wanted:
        case CaseDecision.APPLY:
            _not_succeeded(payment)
            if came.amount < attempt.money.amount:
                raise NotCovered(
                    id=payment.id, expected=attempt.money.amount, requested=came.amount
                )
            return _succeed(payment, case, now, ledger.collected(payment, came))
        case CaseDecision.CREDIT:
            if came.currency is not Currency.VND:
                raise _abroad(payment)
            postings = ledger.credited(payment, Account.SUSPENSE, came.amount)
            return replace(
                _end(payment, case, now), postings=ledger.unexplained(payment, came) + postings
            )
        case CaseDecision.REFUND:
            return replace(
                _end(payment, case, now),
                postings=ledger.unexplained(payment, came),
                refund=Refund(source=Account.SUSPENSE, money=came),
            )
        case CaseDecision.CLOSE:
            raise AssertionError("nothing came: there is nothing to assert")


def _paid_under(attempt: Attempt, number: str | None, now: datetime) -> Attempt:
    """Return the attempt as paid; what is told of it under *number* later is no news."""
    under = attempt.paid_under
    if number is not None and number not in under:
        under = (*under, number)
    if attempt.status is AttemptStatus.PAID:
        return replace(attempt, paid_under=under)
    return replace(attempt, status=AttemptStatus.PAID, answered_at=now, paid_under=under)


def _record_again(payment: Payment, standing: Standing, now: datetime) -> Decision:
    if payment.posting_status is not PostingStatus.FAILED:
        raise _unruly(
            payment,
            "Revenue đang ghi nhận hoặc đã ghi nhận. Hãy tải lại giao dịch.",
            "Revenue has recorded it, or is about to. Load the payment again.",
        )
    if standing.receivable < payment.amount:
        raise _unruly(
            payment,
            "đã hoàn hoặc huỷ một phần hay toàn bộ. Hãy chọn CREDIT hoặc REFUND nếu còn tiền, không thì CLOSE.",
            "it was reversed, in part or whole. Decide CREDIT or REFUND if money is left, else CLOSE.",
        )
    again = payment.noted(now, posting_status=PostingStatus.PENDING)
    return Decision(payment=again, attempt=payment.attempt, effect=Effect.RECORD)


def _credit(payment: Payment, case: Case, now: datetime) -> Decision:
    _in_dong(payment, case)
    _some(payment, case)
    _not_asked_back(payment, case)
    source = Account.CUSTOMER_RECEIVABLE if _is_of_record(case) else Account.SUSPENSE
    postings = ledger.credited(payment, source, case.waiting)
    return replace(_end(payment, case, now), postings=postings)


def _refund(payment: Payment, case: Case, now: datetime) -> Decision:
    _some(payment, case)
    _not_asked_back(payment, case)
    if _is_of_record(case) and payment.custody is Custody.HELD_BY_STAFF:
        raise _unruly(
            payment,
            "tiền mặt còn do người thu giữ. Hãy huỷ khoản thu (voidCashPayment), rồi CLOSE.",
            "its cash is still with the collector. Void it (voidCashPayment), then CLOSE.",
        )
    source = Account.CUSTOMER_RECEIVABLE if _is_of_record(case) else Account.SUSPENSE
    money = case.foreign or Money(case.waiting, Currency.VND)
    return replace(_end(payment, case, now), refund=Refund(source=source, money=money))


def _end(payment: Payment, case: Case, now: datetime) -> Decision:
    """Return a held payment cancelled, with its bills free again; any other as it is, one version on."""
    if payment.is_final or case.kind not in HOLDING:
        return Decision(payment=payment.noted(now), attempt=payment.attempt)
    return Decision(
        payment=payment.become(PaymentStatus.CANCELLED, now),
        attempt=_cancelled(payment.attempt, now),
        effect=Effect.RELEASE,
    )


def _cancelled(attempt: Attempt | None, now: datetime) -> Attempt | None:
    if attempt is None or attempt.status is AttemptStatus.PAID:
        return attempt
    return replace(attempt, status=AttemptStatus.CANCELLED, answered_at=now)


def _some(payment: Payment, case: Case) -> None:
    if not case.waiting and case.foreign is None:
        raise _unruly(
            payment,
            "không còn tiền nào chờ xử lý ở hồ sơ này. Hãy chọn CLOSE.",
            "no money waits with this case. Decide CLOSE.",
        )


def _is_of_record(case: Case) -> bool:
    """Return whether the money stands on the bill that Revenue refused to record as paid."""
    return case.kind is CaseKind.RECORD_REFUSED


def _not_asked_back(payment: Payment, case: Case) -> None:
    if _is_of_record(case) and case.standing is not None and case.standing.asked_back:
        raise _unruly(
            payment,
            "một yêu cầu huỷ hoặc hoàn tiền đang chờ duyệt. Hãy quyết định hồ sơ APPROVAL của nó trước.",
            "a void or refund of it awaits approval. Decide its APPROVAL case first.",
        )


def _in_dong(payment: Payment, case: Case) -> None:
    if case.foreign is not None:
        raise _abroad(payment)


def _abroad(payment: Payment) -> DecisionRefused:
    return _unruly(
        payment,
        "tiền đến bằng ngoại tệ. Hãy chọn REFUND.",
        "the money came in another currency. Decide REFUND.",
    )


@dataclass(eq=False, kw_only=True)
class NotCovered(AmountMismatch):
    vi = (
        "Giao dịch {id} cần {expected}, mới có {requested}: không đủ để thanh toán. Hãy chọn CREDIT"
        " hoặc REFUND, hoặc CLOSE nếu không có tiền."
    )
    en = (
        "Payment {id} needs {expected}, and {requested} is there: the bill is not covered. Decide CREDIT"
        " or REFUND, or CLOSE where there is no money."
    )


@dataclass(eq=False, kw_only=True)
class DecisionRefused(TransitionRefused):
    vi = "Giao dịch {payment_id}: {why_vi}"
    en = "Payment {payment_id}: {why_en}"

    why_vi: str
    why_en: str


def _unruly(payment: Payment, why_vi: str, why_en: str) -> DecisionRefused:
    return DecisionRefused(payment_id=payment.id, why_vi=why_vi, why_en=why_en)
