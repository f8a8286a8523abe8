"""
A reversal: how a success is undone. It is a record of its own beside the payment, never an edit of it.

    AWAITING_APPROVAL ─▶ PENDING ─▶ DONE         a void, and what no gateway pays out, is DONE at once
            │              │  └───▶ FAILED ─ ─▶ DONE   when its gateway's file proves that it was paid out
            │              └▶ UNKNOWN ─▶ DONE · FAILED
            └▶ FAILED (rejected)

    void              customer_receivable → staff_cash
    refund asked      its source          → refunds_payable
      paid out        refunds_payable     → gateway_clearing:<name>
      not paid out    refunds_payable     → its source
      after all       both ways again, in one entry

What no gateway pays out (cash that was handed in, bank transfers) stays in refunds_payable: accounting
pays it from there, outside of here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.attempts import Failure
from domain.bills import AmountMismatch
from domain.calendar import business_date
from domain.ledger import CLEARING, Account, Posting
from domain.limits import LimitKind
from domain.methods import GatewayName, PaymentMethod
from domain.money import Currency, Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import Custody, Payment, PaymentStatus, PostingStatus, TransitionRefused
from domain.refusals import NotPermitted
from domain.staff import Actor, Role


class ReversalKind(StrEnum):
    VOID = "VOID"
    REFUND = "REFUND"


class RefundOf(StrEnum):
    """What of a payment is given back."""

    PAID = "PAID"  # what its bills were paid with
    CREDIT = "CREDIT"  # what came with it, and the customer has with us


SOURCES = {
    RefundOf.PAID: Account.CUSTOMER_RECEIVABLE,
    RefundOf.CREDIT: Account.CUSTOMER_CREDIT,
}


class ReversalStatus(StrEnum):
    AWAITING_APPROVAL = "AWAITING_APPROVAL"
    PENDING = "PENDING"
    UNKNOWN = "UNKNOWN"
    DONE = "DONE"
    FAILED = "FAILED"


UNSETTLED = frozenset({ReversalStatus.PENDING, ReversalStatus.UNKNOWN})
NEW = frozenset({None, ReversalStatus.AWAITING_APPROVAL})
OFFICE = "office"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """
    `source` is the account that the money leaves, `gateway` who pays it out (None: nobody outside).

    `id` is also what the gateway knows the refund by, and `gateway_id` what it calls it. `sent_at` is set
    before it is asked, and cleared when nothing was sent. `inquiries` counts what was tried since.
    `share` is what the gateway is asked for where it was paid in another currency. `posting_status` is
    how far Revenue's record of it is: NONE before it is DONE, and where Revenue needs none.
    """

    id: str
    payment_id: str
    kind: ReversalKind
    status: ReversalStatus
    amount: int
    currency: Currency
    source: Account
    reason: str
    requested_by: str
    created_at: datetime
    updated_at: datetime
    approved_by: str | None = None
    reference: str | None = None
    gateway: GatewayName | None = None
    gateway_id: str | None = None
    failure: Failure | None = None
    sent_at: datetime | None = None
    completed_at: datetime | None = None
    inquiries: int = 0
    inquired_at: datetime | None = None
    posting_status: PostingStatus = PostingStatus.NONE
    share: Money | None = None

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def asked(self) -> Money:
        """What its gateway is asked to give back."""
        return self.share or self.money

    def by_the_office(self) -> Reversal:
        """Return the reversal without the names of those who decided it."""
        approved_by = None if self.approved_by is None else OFFICE
        return replace(self, requested_by=OFFICE, approved_by=approved_by)

    def begun(self, now: datetime, *, approved_by: str | None = None) -> Reversal:
        """Return the reversal carried out: asked for where a gateway pays it out, else DONE."""
        if self.gateway is not None:
            changed = replace(self, status=ReversalStatus.PENDING, updated_at=now)
        else:
            changed = self._done(now)
        return replace(changed, approved_by=approved_by)

    def rejected(self, now: datetime) -> Reversal:
        """Return the reversal refused by whoever was to approve it: nothing ever came of it."""
        why = Failure(code="REJECTED", message="Người duyệt đã từ chối yêu cầu.")
        return self._failed(why, now)

    def concluded(self, evidence: Evidence, now: datetime) -> Reversal:
        """Return what *evidence* of the pay-out makes of it: itself, where it says nothing new."""
        if self.status not in UNSETTLED and not self._is_proven_after_all_by(evidence):
            return self
        number = evidence.gateway_id or self.gateway_id
        named = (
            number != self.gateway_id
        )  # by which to ask for it, before it is known what became of it
        match evidence.result:
            case GatewayResult.PAID:
                return replace(self._done(now), gateway_id=number)
            case GatewayResult.DECLINED | GatewayResult.UNPAID:
                return self._failed(evidence.failure or _NOT_THERE, now)
            case GatewayResult.NOT_CONNECTED if self.status is ReversalStatus.PENDING:
                return replace(
                    self,
                    sent_at=None,
                    inquiries=self.inquiries + 1,
                    inquired_at=now,
                    failure=evidence.failure,
                    updated_at=now,
                )
            case GatewayResult.UNKNOWN if self.status is ReversalStatus.PENDING or named:
                return replace(
                    self,
                    status=ReversalStatus.UNKNOWN,
                    gateway_id=number,
                    failure=None,
                    updated_at=now,
                )
            case _:
                return self

    def _is_proven_after_all_by(self, evidence: Evidence) -> bool:
        asked = self.status is ReversalStatus.FAILED and self.sent_at is not None
        return (
            asked
            and evidence.source is EvidenceSource.SETTLEMENT
            and evidence.result is GatewayResult.PAID
        )

    def _done(self, now: datetime) -> Reversal:
        known = self.source is Account.CUSTOMER_RECEIVABLE  # what Revenue and Debt hold as paid
        return replace(
            self,
            status=ReversalStatus.DONE,
            failure=None,
            completed_at=now,
            updated_at=now,
            posting_status=PostingStatus.PENDING if known else PostingStatus.NONE,
        )

    def _failed(self, why: Failure, now: datetime) -> Reversal:
        return replace(
            self, status=ReversalStatus.FAILED, failure=why, completed_at=now, updated_at=now
        )


_NOT_THERE = Failure(code="NOT_FOUND", message="Cổng thanh toán không nhận được yêu cầu hoàn tiền.")

# ── who may, and what can be ─────────────────────────────────────────────────────────────────────


def check_voidable(payment: Payment, earlier: Sequence[Reversal], *, left: int) -> None:
    """Raise NotReversible unless *payment* is cash that is still with its collector, and all of it *left*."""
    if payment.method is not PaymentMethod.CASH:
        raise NotReversible(
            payment_id=payment.id,
            why_vi="chỉ khoản thu tiền mặt mới huỷ được. Hãy đề nghị Tài chính hoàn tiền.",
            why_en="only cash is voided. Ask Finance for a refund.",
        )
    _check_success(payment)
    match payment.custody:
        case Custody.VOIDED:
            raise _voided(payment)
        case Custody.HANDED_IN | Custody.RECONCILED:
            raise NotReversible(
                payment_id=payment.id,
                why_vi="tiền mặt đã được nộp. Hãy đề nghị Tài chính hoàn tiền.",
                why_en="its cash was handed in. Ask Finance for a refund.",
            )
        case Custody.HELD_BY_STAFF | None:
            pass
    if any(item.status is ReversalStatus.AWAITING_APPROVAL for item in earlier):
        raise NotReversible(
            payment_id=payment.id,
            why_vi="một yêu cầu huỷ đang chờ duyệt. Hãy chờ Tài chính quyết định.",
            why_en="a void of it awaits approval. Wait for Finance to decide.",
        )
    if left < payment.amount:
        raise NotReversible(
            payment_id=payment.id,
            why_vi="tiền đã được ghi có cho khách hàng. Hãy nộp số tiền mặt này.",
            why_en="its money was credited to the customer. Hand the cash in.",
        )


def check_voider(payment: Payment, actor: Actor, *, now: datetime) -> None:
    """
    Raise NotPermitted unless *actor* may void *payment* now.

    Its collector may until the Vietnamese day of the payment ends; else a supervisor who is not the
    collector.
    """
    if payment.staff_id == actor.id:
        if business_date(now) != payment.business_date:
            raise NotPermitted(
                why_vi="chỉ được tự huỷ trong ngày thu. Hãy nhờ giám sát của bạn.",
                why_en="your own collection is voided on its own day only. Ask your supervisor.",
            )
    elif actor.role is not Role.SUPERVISOR:
        raise NotPermitted(
            why_vi="khoản này do người khác thu. Hãy nhờ người thu hoặc giám sát.",
            why_en="somebody else collected it. Ask them or their supervisor.",
        )


def check_refund(payment: Payment, amount: int, *, source: Account, left: int) -> None:
    """Raise a refusal unless *amount* can be given back, of which *left* is at *source* for the payment."""
    if source is Account.CUSTOMER_RECEIVABLE:
        _check_given_up(payment)
    if amount > left:
        raise TooMuchToRefund(id=payment.id, expected=left, requested=amount)


def _check_given_up(payment: Payment) -> None:
    """Raise NotReversible unless it is a success whose money has left its collector."""
    _check_success(payment)
    match payment.custody:
        case Custody.VOIDED:
            raise _voided(payment)
        case Custody.HELD_BY_STAFF:
            raise NotReversible(
                payment_id=payment.id,
                why_vi="tiền mặt còn do người thu giữ. Hãy huỷ khoản thu thay vì hoàn tiền.",
                why_en="its cash is still with the collector. Void it instead.",
            )
        case Custody.HANDED_IN | Custody.RECONCILED | None:
            pass


def decided_alone(earlier: Sequence[Reversal]) -> int:
    """Return what of a payment nobody but who asked has decided to give back: parts don't add up unseen."""
    return sum(
        item.amount
        for item in earlier
        if item.approved_by is None
        and item.status not in {ReversalStatus.FAILED, ReversalStatus.AWAITING_APPROVAL}
    )


# ── what follows ─────────────────────────────────────────────────────────────────────────────────


def booked(payment: Payment, was: ReversalStatus | None, reversal: Reversal) -> tuple[Posting, ...]:
    """Return the postings of the reversal's move from *was* (None: it is new) to what it is."""
    is_, source, payable = reversal.status, reversal.source, Account.REFUNDS_PAYABLE
    asked, paid_out = (source, payable), (payable, CLEARING[reversal.gateway])
    sides: tuple[tuple[Account, Account], ...] = ()
    if reversal.kind is ReversalKind.VOID:
        if is_ is ReversalStatus.DONE:
            sides = ((source, Account.STAFF_CASH),)
    elif was in NEW and is_ in {ReversalStatus.PENDING, ReversalStatus.DONE}:
        sides = (asked,)
    elif was in UNSETTLED and is_ is ReversalStatus.DONE:
        sides = (paid_out,)
    elif was in UNSETTLED and is_ is ReversalStatus.FAILED:
        sides = ((payable, source),)
    elif was is ReversalStatus.FAILED and is_ is ReversalStatus.DONE:
        sides = (asked, paid_out)
    return tuple(
        Posting(debit=debit, credit=credit, money=reversal.money, staff_id=payment.staff_id)
        for debit, credit in sides
    )


def reopens(payment: Payment, given_back: int) -> bool:
    """Tell whether the bills of a success are open again: all that was paid for them is given back."""
    return payment.status is PaymentStatus.SUCCESS and given_back == payment.amount


def limits_freed(payment: Payment, now: datetime) -> tuple[LimitKind, ...]:
    """Return what falls on a void: the day's turnover only while the day lasts."""
    same_day = business_date(now) == payment.business_date
    return (LimitKind.DAILY, LimitKind.CASH_IN_HAND) if same_day else (LimitKind.CASH_IN_HAND,)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(eq=False, kw_only=True)
class NotReversible(TransitionRefused):
    vi = "Giao dịch {payment_id}: {why_vi}"
    en = "Payment {payment_id}: {why_en}"

    why_vi: str
    why_en: str


@dataclass(eq=False, kw_only=True)
class TooMuchToRefund(AmountMismatch):
    vi = "Giao dịch {id} còn hoàn được {expected}, không phải {requested}. Đừng hoàn nhiều hơn số còn lại."
    en = "Of payment {id} {expected} can still be given back, not {requested}. Ask for no more."


def _check_success(payment: Payment) -> None:
    if payment.status is not PaymentStatus.SUCCESS:
        raise NotReversible(
            payment_id=payment.id,
            why_vi="chưa thu được tiền. Hãy huỷ giao dịch nếu không thu nữa.",
            why_en="no money was taken for it. Cancel it if it is not to be paid.",
        )


def _voided(payment: Payment) -> NotReversible:
    return NotReversible(
        payment_id=payment.id,
        why_vi="đã được huỷ trước đó. Hãy tải lại giao dịch.",
        why_en="it was voided before. Load the payment again.",
    )
