"""
Telling Revenue of a reversal, then Debt, each after it knows of the payment.

What waits for Revenue alone, the record of who paid the bill again, does not wait for Debt.
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
from resolvers.cases import open_case
from resolvers.context import Context
from resolvers.payment_announcement import announce

# How long to wait for what Revenue has to know first: at first this, then half of what was waited.
FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=10)
NOT_SETTLED_YET = 404  # Debt hears of the payment by a job of its own, which may come later


async def tell_reversal(context: Context, reversal_id: str) -> timedelta | None:
    """
    Let Revenue open the bills again, under the reversal's id; Debt hears of it by a job of its own.

    Waits for Revenue's record of the payment. Where Revenue refused that, there is nothing to reverse.
    """
    reversal = await _reversal(reversal_id)
    if reversal.posting_status not in {PostingStatus.PENDING, PostingStatus.FAILED}:
        return None
    payment = await payments.by_id(reversal.payment_id)
    assert payment is not None
    match payment.posting_status:
        case PostingStatus.PENDING:
            assert reversal.completed_at is not None
            return look_again(reversal.completed_at, await context.clock())
        case PostingStatus.FAILED | PostingStatus.NONE:
            await _told(context, payment, reversal, PostingStatus.NONE)
            return None
        case PostingStatus.DONE:
            pass
    try:
        await context.revenue.reverse(reversal)
    except Rejected as no:
        await _told(context, payment, reversal, PostingStatus.FAILED, no)
        raise
    await _told(context, payment, reversal, PostingStatus.DONE)
    return None


async def unsettle_debt(context: Context, reversal_id: str) -> timedelta | None:
    """Let Debt owe again what was given back; the job is made by the transaction that notes Revenue's word."""
    reversal = await _reversal(reversal_id)
    try:
        await context.debts.unsettle(reversal)
    except Rejected as no:
        if no.status != NOT_SETTLED_YET:
            now = await context.clock()
            async with transaction():
                payment = await payments.lock(reversal.payment_id)
                assert payment is not None
                await _refused(context, payment, reversal, "Debt", no, now)
        raise
    return None


def look_again(since: datetime, now: datetime) -> timedelta:
    """Return how long to wait for what others have to do first, and have not done *since*."""
    return min(max(FIRST_WAIT, (now - since) / 2), LONGEST_WAIT)


async def _told(
    context: Context,
    payment: Payment,
    reversal: Reversal,
    told: PostingStatus,
    no: Rejected | None = None,
) -> None:
    now = await context.clock()
    async with transaction():
        locked = await payments.lock(payment.id)
        assert locked is not None
        if not await reversals.note_told(reversal.id, told, now):
            return
        await payments.save(locked.noted(now))
        if no is not None:
            await _refused(context, payment, reversal, "Revenue", no, now)
        else:
            await _write(context, reversal, "Revenue", now, told=told)
        if told is PostingStatus.DONE:
            await jobs.enqueue([Job(name="unsettle_debt", subject=reversal.id)])
    changed = await payments.by_id(payment.id)
    assert changed is not None
    await announce(context, changed)


async def _refused(
    context: Context, payment: Payment, reversal: Reversal, who: str, no: Rejected, now: datetime
) -> None:
    """Open a case, once: what we gave back they still hold as paid, and people mend it."""
    about = f"{who}: {no.code} refuses reversal {reversal.id}"
    if await cases.is_known(payment.id, about):
        return
    await open_case(
        context,
        CaseKind.SETTLEMENT,
        now,
        payment=payment,
        amount=reversal.amount,
        reversal_id=reversal.id,
        about=about,
    )
    await _write(context, reversal, who, now, why=no.code)


async def _write(
    context: Context,
    reversal: Reversal,
    who: str,
    now: datetime,
    *,
    told: PostingStatus = PostingStatus.FAILED,
    why: str | None = None,
) -> None:
    await audit.record(
        AuditEvent(
            at=now,
            actor=context.actor_id,
            action="reverse",
            outcome=AuditOutcome.DONE if why is None else AuditOutcome.FAILED,
            payment_id=reversal.payment_id,
            source=who.lower(),
            details={"reversal": reversal.id, "told": told, "why": why},
        )
    )


async def _reversal(reversal_id: str) -> Reversal:
    reversal = await reversals.by_id(reversal_id)
    assert reversal is not None, "a job is kept in the transaction of its reversal"
    return reversal
