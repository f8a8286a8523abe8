"""
The effects of a reversal's move: postings, limits, bills, cases, jobs and the audit row.

A void and a refund move alike: `apply_effects` writes everything in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from db import audit, bills, cases, jobs, ledger, limits, payments, reversals
from db.audit import AuditEvent
from db.jobs import Job
from domain.cases import CaseKind
from domain.ledger import Account
from domain.payment_evidence import Evidence
from domain.payments import Custody, Payment, PaymentStatus, PostingStatus
from domain.reversals import (
    NOT_BEGUN,
    UNSETTLED,
    Reversal,
    ReversalKind,
    ReversalStatus,
    booked,
    limits_freed,
    reopens,
)
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.payment_opening import FOLLOW_UP


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One move of a reversal; `before` is None for a new one, `evidence` what proves it."""

    before: ReversalStatus | None
    after: Reversal
    at: datetime
    evidence: Evidence | None = None

    @property
    def is_done(self) -> bool:
        return self.after.status is ReversalStatus.DONE

    @property
    def is_void(self) -> bool:
        """Whether cash is voided by this move."""
        return self.is_done and self.after.kind is ReversalKind.VOID


async def apply_effects(context: Context, payment: Payment, move: Move) -> None:
    """
    Write everything that follows from a reversal's move, in the transaction that locked *payment*.

    Saves the payment's next version, so that its watchers see the reversal's change.
    """
    await _post(payment, move)
    await _save_payment(payment, move)
    if move.is_void:
        await _free_limits(payment, move)
    if move.is_done:
        await _reopen_bills(payment, move.after)
    if move.before in UNSETTLED and move.after.status is ReversalStatus.FAILED:
        await _reopen_case(context, payment, move)
    await jobs.enqueue(_jobs_after(move))
    await _audit(context, payment, move)


async def _post(payment: Payment, move: Move) -> None:
    await ledger.post_and_audit(
        f"{move.after.kind}_{move.after.status}",
        booked(payment, move.before, move.after),
        move.at,
        payment_id=payment.id,
        reversal_id=move.after.id,
    )


async def _save_payment(payment: Payment, move: Move) -> None:
    custody = Custody.VOIDED if move.is_void else payment.custody
    await payments.save(payment.updated(move.at, custody=custody))


async def _free_limits(payment: Payment, move: Move) -> None:
    freed = limits_freed(payment, move.at)
    await limits.give_back(payment.staff_id, freed, payment.amount, today=payment.business_date)


async def _reopen_bills(payment: Payment, reversal: Reversal) -> None:
    """Unlock the bills once their whole amount is reversed."""
    if reversal.source is not Account.CUSTOMER_RECEIVABLE:
        return
    given_back = await reversals.reversed_sum(payment.id, reversal.source)
    if reopens(payment, given_back):
        await bills.release(payment)


async def _reopen_case(context: Context, payment: Payment, move: Move) -> None:
    """Open a case again about money that is not owed and that could not be refunded."""
    source, amount, about = move.after.source, move.after.amount, None
    if source is Account.CUSTOMER_RECEIVABLE:
        kind = CaseKind.RECORD_REFUSED
        is_refused = payment.posting_status is PostingStatus.FAILED
        if not is_refused or await cases.has_open_case(payment.id, kind):
            return
    elif source is Account.SUSPENSE:
        is_success = payment.status is PaymentStatus.SUCCESS
        kind = CaseKind.PAID_TWICE if is_success else CaseKind.LATE_MONEY
        about = f"refund {move.after.id}"
    else:
        return
    new_case = NewCase(kind=kind, payment=payment, amount=amount, about=about)
    await open_case(context, new_case, move.at)


def _jobs_after(move: Move) -> Sequence[Job]:
    """Return the job that sends the refund, or the one that reports it to Revenue."""
    reversal = move.after
    if move.before in NOT_BEGUN and reversal.status is ReversalStatus.PENDING:
        return [Job(name="refund", subject=reversal.id, after=FOLLOW_UP)]
    if move.is_done and reversal.posting_status is PostingStatus.PENDING:
        return [Job(name="report_reversal", subject=reversal.id)]
    return []


async def _audit(context: Context, payment: Payment, move: Move) -> None:
    reversal, evidence = move.after, move.evidence
    await audit.append(
        AuditEvent(
            at=move.at,
            actor=context.actor_id,
            action=reversal.kind.lower(),
            payment_id=payment.id,
            from_status=payment.status,
            to_status=payment.status,
            evidence=evidence.source if evidence else None,
            source=evidence.origin if evidence else None,
            event_id=evidence.event_id if evidence else None,
            request_id=context.request_id,
            details={
                "reversal": reversal.id,
                "was": move.before,
                "status": reversal.status,
                "amount": reversal.amount,
                "share": reversal.share and reversal.share.amount,
                "source": reversal.source,
                "reason": reversal.reason,
                "requested_by": reversal.requested_by,
                "approved_by": reversal.approved_by,
                "result": evidence.result if evidence else None,
            },
        )
    )
