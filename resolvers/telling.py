"""Telling Revenue and Debt of a reversal: in this order, and after they know of the payment."""

from __future__ import annotations

from datetime import timedelta

from db import audit, payments, reversals
from db.audit import AuditEvent, AuditOutcome
from db.transaction import transaction
from domain.cases import CaseKind
from domain.payments import Payment, PostingStatus
from domain.reversals import Reversal
from integrations.wire import Rejected
from resolvers.announcements import announce
from resolvers.cases import open_case
from resolvers.context import Context

# How long to wait for Revenue's record of the payment: at first this, then half of what was waited.
FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=10)
NOT_SETTLED_YET = 404  # Debt hears of the payment by a job of its own, which may come later


async def tell_reversal(context: Context, reversal_id: str) -> timedelta | None:
    """
    Let Revenue open the bills again and Debt the debt, under the reversal's id.

    Waits for Revenue's record of the payment. Where Revenue refused that, there is nothing to reverse.
    """
    reversal = await reversals.by_id(reversal_id)
    assert reversal is not None, "a job is kept in the transaction of its reversal"
    if reversal.told not in {PostingStatus.PENDING, PostingStatus.FAILED}:
        return None
    payment = await payments.by_id(reversal.payment_id)
    assert payment is not None
    match payment.posting_status:
        case PostingStatus.PENDING:
            assert reversal.completed_at is not None
            waited = await context.clock() - reversal.completed_at
            return min(max(FIRST_WAIT, waited / 2), LONGEST_WAIT)
        case PostingStatus.FAILED | PostingStatus.NONE:
            await _told(context, payment, reversal, PostingStatus.NONE)
            return None
        case PostingStatus.DONE:
            pass
    try:
        await context.revenue.reverse(reversal)
    except Rejected as no:
        await _told(context, payment, reversal, PostingStatus.FAILED, f"Revenue: {no.code}")
        raise
    try:
        await context.debts.unsettle(reversal)
    except Rejected as no:
        if no.status != NOT_SETTLED_YET:
            await _told(context, payment, reversal, PostingStatus.FAILED, f"Debt: {no.code}")
        raise
    await _told(context, payment, reversal, PostingStatus.DONE)
    return None


async def _told(
    context: Context,
    payment: Payment,
    reversal: Reversal,
    told: PostingStatus,
    why: str | None = None,
) -> None:
    now = await context.clock()
    async with transaction():
        locked = await payments.lock(payment.id)
        assert locked is not None
        if not await reversals.note_told(reversal.id, told, now):
            return
        await payments.save(locked.noted(now))
        if why is not None:  # what we gave back they still hold as paid: people mend it
            await open_case(
                context,
                CaseKind.SETTLEMENT,
                now,
                payment=payment,
                amount=reversal.amount,
                reversal_id=reversal.id,
                about=f"{why} refuses reversal {reversal.id}",
            )
        await audit.record(
            AuditEvent(
                at=now,
                actor=context.actor_id,
                action="reverse",
                outcome=AuditOutcome.DONE if why is None else AuditOutcome.FAILED,
                payment_id=payment.id,
                source="revenue",
                details={"reversal": reversal.id, "told": told, "why": why},
            )
        )
    changed = await payments.by_id(payment.id)
    assert changed is not None
    await announce(context, changed)
