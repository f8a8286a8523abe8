"""
A reversal: a void or refund of a success, a record of its own beside the payment.

    AWAITING_APPROVAL ─▶ PENDING ─▶ DONE
            │              │  └───▶ FAILED ─ ─▶ DONE     when a settlement file proves the refund
            │              └▶ UNKNOWN ─▶ DONE · FAILED
            ├▶ DONE        a void, and a refund without a gateway
            └▶ FAILED      rejected

    void                 customer_receivable → staff_cash
    refund begins        its source          → refunds_payable
      paid out           refunds_payable     → gateway_clearing:<name>
      not paid out       refunds_payable     → its source
      proven after all   the first two, in one entry

Refunds without a gateway (cash that was handed in, bank transfers) stay in refunds_payable, from
which accounting pays them.
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
from domain.sentences import PermissionReason, ReversalReason
from domain.staff import Actor, Role


class ReversalKind(StrEnum):
    VOID = "VOID"
    REFUND = "REFUND"


class RefundOf(StrEnum):
    """The part of a payment that is refunded."""

    PAID = "PAID"  # the money that paid the bills
    CREDIT = "CREDIT"  # the customer's credit that came with it


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
NOT_BEGUN = frozenset({None, ReversalStatus.AWAITING_APPROVAL})
OFFICE = "office"  # shown to merchants in place of a staff name


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """
    A reversal. `source` is the account that the money leaves.

    `id` is also our reference of the refund at its gateway, and `gateway_id` the gateway's number.
    `sent_at` is set before the refund is sent, and cleared if nothing was sent; `inquiries` counts
    the tries since. `share` is the refund in the gateway's currency, if that is another one.
    `posting_status` is the state of Revenue's record: NONE before the reversal is DONE, and where
    Revenue needs no record.
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
    def gateway_money(self) -> Money:
        """The sum that the gateway is to refund: the share, or all of it in our currency."""
        return self.share or self.money

    def without_staff_names(self) -> Reversal:
        """Return the reversal without the names of the staff who decided it."""
        approved_by = None if self.approved_by is None else OFFICE
        return replace(self, requested_by=OFFICE, approved_by=approved_by)

    def begun(self, now: datetime, *, approved_by: str | None = None) -> Reversal:
        """Return the reversal begun: PENDING if a gateway pays it, else DONE."""
        if self.gateway is not None:
            changed = replace(self, status=ReversalStatus.PENDING, updated_at=now)
        else:
            changed = self._done(now)
        return replace(changed, approved_by=approved_by)

    def rejected(self, now: datetime) -> Reversal:
        """Return the reversal FAILED because the approver rejected it."""
        return self._failed(_REJECTED, now)

    def concluded(self, evidence: Evidence, now: datetime) -> Reversal:
        """Return the reversal after *evidence* about its refund; itself if nothing changes."""
        if self.status not in UNSETTLED and not self._is_proven_after_all_by(evidence):
            return self
        number = evidence.gateway_id or self.gateway_id
        is_new_number = number != self.gateway_id  # later inquiries use it
        match evidence.result:
            case GatewayResult.PAID:
                return replace(self._done(now), gateway_id=number)
            case GatewayResult.DECLINED | GatewayResult.UNPAID:
                return self._failed(evidence.failure or _NOT_FOUND, now)
            case GatewayResult.NOT_CONNECTED if self.status is ReversalStatus.PENDING:
                return replace(
                    self,
                    sent_at=None,
                    inquiries=self.inquiries + 1,
                    inquired_at=now,
                    failure=evidence.failure,
                    updated_at=now,
                )
            case GatewayResult.UNKNOWN if self.status is ReversalStatus.PENDING or is_new_number:
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
        failed_after_sending = self.status is ReversalStatus.FAILED and self.sent_at is not None
        return (
            failed_after_sending
            and evidence.source is EvidenceSource.SETTLEMENT
            and evidence.result is GatewayResult.PAID
        )

    def _done(self, now: datetime) -> Reversal:
        is_recorded = self.source is Account.CUSTOMER_RECEIVABLE  # Revenue has it as paid
        return replace(
            self,
            status=ReversalStatus.DONE,
            failure=None,
            completed_at=now,
            updated_at=now,
            posting_status=PostingStatus.PENDING if is_recorded else PostingStatus.NONE,
        )

    def _failed(self, failure: Failure, now: datetime) -> Reversal:
        return replace(
            self, status=ReversalStatus.FAILED, failure=failure, completed_at=now, updated_at=now
        )


_REJECTED = Failure(code="REJECTED", message="Người duyệt đã từ chối yêu cầu.")
_NOT_FOUND = Failure(code="NOT_FOUND", message="Cổng thanh toán không nhận được yêu cầu hoàn tiền.")

# ── checks ───────────────────────────────────────────────────────────────────────────────────────


def check_voidable(payment: Payment, earlier: Sequence[Reversal], *, remaining: int) -> None:
    """Raise NotReversible unless *payment* is cash that its collector holds, not reversed."""
    if payment.method is not PaymentMethod.CASH:
        raise NotReversible(payment_id=payment.id, reason=ReversalReason.NOT_CASH)
    _check_success(payment)
    match payment.custody:
        case Custody.VOIDED:
            raise _voided(payment)
        case Custody.HANDED_IN | Custody.RECONCILED:
            raise NotReversible(payment_id=payment.id, reason=ReversalReason.HANDED_IN)
        case Custody.HELD_BY_STAFF | None:
            pass
    if any(item.status is ReversalStatus.AWAITING_APPROVAL for item in earlier):
        raise NotReversible(payment_id=payment.id, reason=ReversalReason.VOID_AWAITS_APPROVAL)
    if remaining < payment.amount:
        raise NotReversible(payment_id=payment.id, reason=ReversalReason.CREDITED)


def check_voider(payment: Payment, actor: Actor, *, now: datetime) -> None:
    """
    Raise NotPermitted unless *actor* may void *payment* now.

    Its collector may on the payment's Vietnamese day; a supervisor who did not collect it always
    may.
    """
    if payment.staff_id == actor.id:
        if business_date(now) != payment.business_date:
            raise NotPermitted.because(PermissionReason.VOIDS_ON_ANOTHER_DAY)
    elif actor.role is not Role.SUPERVISOR:
        raise NotPermitted.because(PermissionReason.COLLECTED_BY_ANOTHER)


def check_refund(payment: Payment, amount: int, *, source: Account, remaining: int) -> None:
    """Raise a refusal unless *amount* is at most *remaining*, the payment's money at *source*."""
    if source is Account.CUSTOMER_RECEIVABLE:
        _check_left_collector(payment)
    if amount > remaining:
        raise TooMuchToRefund(id=payment.id, expected=remaining, requested=amount)


def _check_left_collector(payment: Payment) -> None:
    """Raise NotReversible unless *payment* is a success whose money has left its collector."""
    _check_success(payment)
    match payment.custody:
        case Custody.VOIDED:
            raise _voided(payment)
        case Custody.HELD_BY_STAFF:
            raise NotReversible(payment_id=payment.id, reason=ReversalReason.HELD_BY_STAFF)
        case Custody.HANDED_IN | Custody.RECONCILED | None:
            pass


def decided_alone(earlier: Sequence[Reversal]) -> int:
    """Return the sum of reversals that one person decided alone; parts count together."""
    return sum(
        item.amount
        for item in earlier
        if item.approved_by is None
        and item.status not in {ReversalStatus.FAILED, ReversalStatus.AWAITING_APPROVAL}
    )


# ── effects ──────────────────────────────────────────────────────────────────────────────────────


def booked(
    payment: Payment, before: ReversalStatus | None, reversal: Reversal
) -> tuple[Posting, ...]:
    """Return the postings of the reversal's move from status *before*, None for a new one."""
    status, source, payable = reversal.status, reversal.source, Account.REFUNDS_PAYABLE
    begun, paid_out = (source, payable), (payable, CLEARING[reversal.gateway])
    sides: tuple[tuple[Account, Account], ...] = ()
    if reversal.kind is ReversalKind.VOID:
        if status is ReversalStatus.DONE:
            sides = ((source, Account.STAFF_CASH),)
    elif before in NOT_BEGUN and status in {ReversalStatus.PENDING, ReversalStatus.DONE}:
        sides = (begun,)
    elif before in UNSETTLED and status is ReversalStatus.DONE:
        sides = (paid_out,)
    elif before in UNSETTLED and status is ReversalStatus.FAILED:
        sides = ((payable, source),)
    elif before is ReversalStatus.FAILED and status is ReversalStatus.DONE:
        sides = (begun, paid_out)
    return tuple(
        Posting(debit=debit, credit=credit, money=reversal.money, staff_id=payment.staff_id)
        for debit, credit in sides
    )


def reopens(payment: Payment, given_back: int) -> bool:
    """Return whether the bills of a success are open again: its whole amount is reversed."""
    return payment.status is PaymentStatus.SUCCESS and given_back == payment.amount


def limits_freed(payment: Payment, now: datetime) -> tuple[LimitKind, ...]:
    """Return the limits that a void frees: DAILY only on the payment's own day."""
    same_day = business_date(now) == payment.business_date
    return (LimitKind.DAILY, LimitKind.CASH_IN_HAND) if same_day else (LimitKind.CASH_IN_HAND,)


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────


@dataclass(eq=False, kw_only=True)
class NotReversible(TransitionRefused):
    vi = "Giao dịch {payment_id}: {reason}"
    en = "Payment {payment_id}: {reason}"

    reason: ReversalReason


@dataclass(eq=False, kw_only=True)
class TooMuchToRefund(AmountMismatch):
    vi = (
        "Giao dịch {id} còn hoàn được {expected}, không phải {requested}."
        " Đừng hoàn nhiều hơn số còn lại."
    )
    en = "Of payment {id} {expected} can still be given back, not {requested}. Request no more."


def _check_success(payment: Payment) -> None:
    if payment.status is not PaymentStatus.SUCCESS:
        raise NotReversible(payment_id=payment.id, reason=ReversalReason.NOT_PAID)


def _voided(payment: Payment) -> NotReversible:
    return NotReversible(payment_id=payment.id, reason=ReversalReason.VOIDED)
