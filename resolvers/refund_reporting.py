"""
Reporting a reversal to Revenue, then to Debt, each after it knows of the payment.

A later payment of the same bill waits for Revenue alone; it does not wait for Debt.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from db import audit, cases, jobs, payments, reversals
from db.audit import AuditEvent, AuditOutcome
from db.jobs import Job
from db.transaction import transaction
from domain.cases import CaseKind
from domain.payments import Payment, PostingStatus
from domain.reversals import Reversal
from integrations.http.parsing import Rejected
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.payment_announcement import announce, announce_contract

FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=10)
# Debt learns of the payment by a job of its own, which may come later: this refusal is no case.
PAYMENT_UNKNOWN = 404


async def report_reversal(context: Context, reversal_id: str) -> timedelta | None:
    """
    Report the reversal to Revenue, which opens the bills again; a job of its own reports to Debt.

    Waits until Revenue has recorded the payment. Where Revenue refused that record, there is
    nothing to report.
    """
    reversal = await reversals.get(reversal_id)
    if reversal.posting_status not in {PostingStatus.PENDING, PostingStatus.FAILED}:
        return None
    payment = await payments.get(reversal.payment_id)
    match payment.posting_status:
        case PostingStatus.PENDING:
            assert reversal.completed_at is not None, "only a reversal that is DONE is reported"
            return wait_after(reversal.completed_at, await context.clock())
        case PostingStatus.FAILED | PostingStatus.NONE:
            await _save_report(context, payment, reversal, PostingStatus.NONE)
            return None
        case PostingStatus.DONE:
            pass
    try:
        await context.revenue.reverse(reversal)
    except Rejected as error:
        await _save_report(context, payment, reversal, PostingStatus.FAILED, error)
        raise
    await _save_report(context, payment, reversal, PostingStatus.DONE)
    return None


async def unsettle_debt(context: Context, reversal_id: str) -> timedelta | None:
    """Report the reversal to Debt, whose debt rises again, once Revenue has it."""
    reversal = await reversals.get(reversal_id)
    try:
        await context.debts.unsettle(reversal)
    except Rejected as error:
        if error.status != PAYMENT_UNKNOWN:
            now = await context.clock()
            async with transaction():
                payment = await payments.locked(reversal.payment_id)
                await _record_refusal(context, payment, reversal, "Debt", error, now)
        raise
    payment = await payments.get(reversal.payment_id)
    if payment.contract_number is not None:
        await announce_contract(context, payment.contract_number)
    return None


def wait_after(since: datetime, now: datetime) -> timedelta:
    """Return how long to wait for another system's step: half of the time that passed *since*."""
    return min(max(FIRST_WAIT, (now - since) / 2), LONGEST_WAIT)


async def _save_report(
    context: Context,
    payment: Payment,
    reversal: Reversal,
    status: PostingStatus,
    error: Rejected | None = None,
) -> None:
    """Store Revenue's answer once; open a case for a refusal, enqueue Debt's job for a success."""
    now = await context.clock()
    async with transaction():
        locked = await payments.locked(payment.id)
        if not await reversals.set_posting_status(reversal.id, status, now):
            return
        await payments.save(locked.updated(now))
        if error is not None:
            await _record_refusal(context, payment, reversal, "Revenue", error, now)
        else:
            await _audit(context, reversal, "Revenue", now, status=status)
        if status is PostingStatus.DONE:
            await jobs.enqueue([Job(name="unsettle_debt", subject=reversal.id)])
    await announce(context, await payments.get(payment.id))


async def _record_refusal(
    context: Context,
    payment: Payment,
    reversal: Reversal,
    system: str,
    error: Rejected,
    now: datetime,
) -> None:
    """Open a case, once: the system refuses the reversal, so people must correct it there."""
    about = f"{system}: {error.code} refuses reversal {reversal.id}"
    if await cases.exists_about(payment.id, about):
        return
    new_case = NewCase(
        kind=CaseKind.SETTLEMENT,
        payment=payment,
        amount=reversal.amount,
        reversal_id=reversal.id,
        about=about,
    )
    await open_case(context, new_case, now)
    await _audit(context, reversal, system, now, why=error.code)


async def _audit(
    context: Context,
    reversal: Reversal,
    system: str,
    now: datetime,
    *,
    status: PostingStatus = PostingStatus.FAILED,
    why: str | None = None,
) -> None:
    await audit.append(
        AuditEvent(
            at=now,
            actor=context.actor_id,
            action="reverse",
            outcome=AuditOutcome.DONE if why is None else AuditOutcome.FAILED,
            payment_id=reversal.payment_id,
            source=system.lower(),
            details={"reversal": reversal.id, "posting_status": status, "why": why},
        )
    )
