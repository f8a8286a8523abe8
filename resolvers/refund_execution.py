"""
Paying out: what a reversal does when it moves, and the conversation with the gateway about a refund.

Promise, ask, conclude, as for a payment: the refund is committed before its gateway is asked, silence is
UNKNOWN, and whatever is then said of it enters by `concluded`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import structlog

from db import audit, bills, cases, jobs, ledger, limits, payments, reversals
from db.audit import AuditEvent
from db.jobs import Job
from db.transaction import transaction
from domain.attempts import Attempt
from domain.cases import CaseKind
from domain.gateways import GatewayUnavailable, Refunds
from domain.ledger import Account
from domain.payment_evidence import Evidence, GatewayResult
from domain.payments import Custody, Payment, PaymentStatus, PostingStatus
from domain.refund_schedule import Next, Step, next_step
from domain.reversals import (
    NEW,
    UNSETTLED,
    Reversal,
    ReversalKind,
    ReversalStatus,
    booked,
    limits_freed,
    reopens,
)
from resolvers.cases import open_case
from resolvers.context import Context
from resolvers.payment_announcement import announce
from resolvers.payment_opening import FOLLOW_UP
from resolvers.payment_start import ASKING_SECONDS

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

IN_TURN = timedelta(minutes=1)  # until another refund of the same attempt is settled


# ── what a move does ─────────────────────────────────────────────────────────────────────────────


async def carry_out(
    context: Context,
    payment: Payment,
    was: ReversalStatus | None,
    reversal: Reversal,
    now: datetime,
    evidence: Evidence | None = None,
) -> None:
    """
    Write what follows of the reversal's move from *was*; in the transaction that locked *payment*.

    Saves the payment's next version: its watchers see that a reversal of it changed.
    """
    postings = booked(payment, was, reversal)
    await ledger.post(
        f"{reversal.kind}_{reversal.status}",
        postings,
        now,
        payment_id=payment.id,
        reversal_id=reversal.id,
    )
    done = reversal.status is ReversalStatus.DONE
    voided = done and reversal.kind is ReversalKind.VOID
    custody = Custody.VOIDED if voided else payment.custody
    await payments.save(payment.noted(now, custody=custody))
    if voided:
        freed = limits_freed(payment, now)
        await limits.give_back(payment.staff_id, freed, payment.amount, today=payment.business_date)
    if done and reversal.source is Account.CUSTOMER_RECEIVABLE:
        given_back = await reversals.given_back(payment.id, reversal.source)
        if reopens(payment, given_back):
            await bills.release(payment)
    if was in UNSETTLED and reversal.status is ReversalStatus.FAILED:
        await _given_back_to_people(context, payment, reversal, now)
    if was in NEW and reversal.status is ReversalStatus.PENDING:
        await jobs.enqueue([Job(name="refund", subject=reversal.id, after=FOLLOW_UP)])
    if done and reversal.posting_status is PostingStatus.PENDING:
        await jobs.enqueue([Job(name="tell_reversal", subject=reversal.id)])
    await audit.record(
        AuditEvent(
            at=now,
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
                "was": was,
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


async def _given_back_to_people(
    context: Context, payment: Payment, reversal: Reversal, now: datetime
) -> None:
    """Open a case again about money that is not owed, and could not be given back."""
    if reversal.source is Account.CUSTOMER_RECEIVABLE:
        kind = CaseKind.RECORD_REFUSED
        refused = payment.posting_status is PostingStatus.FAILED
        if refused and not await cases.awaits_people(payment.id, kind):
            await open_case(context, kind, now, payment=payment, amount=reversal.amount)
    elif reversal.source is Account.SUSPENSE:
        success = payment.status is PaymentStatus.SUCCESS
        kind = CaseKind.PAID_TWICE if success else CaseKind.LATE_MONEY
        about = f"refund {reversal.id}"
        await open_case(context, kind, now, payment=payment, amount=reversal.amount, about=about)


async def concluded(
    context: Context, payment: Payment, reversal: Reversal, evidence: Evidence, now: datetime
) -> Reversal:
    """
    Let *evidence* about a refund do what the domain decides; in the transaction that locked both.

    Nothing more is ever done about one that is DONE. One that FAILED is only corrected where its money is
    still there: what was given away otherwise since is for people. The caller announces the payment.
    """
    after = reversal.concluded(evidence, now)
    if reversal.status is ReversalStatus.FAILED and after is not reversal:
        left = await reversals.left(payment.id, reversal.source, reversal.currency)
        after = after if left >= reversal.amount else reversal
    if after is not reversal:
        await reversals.save(after)
        await carry_out(context, payment, reversal.status, after, now, evidence)
    elif evidence.result is GatewayResult.GAVE_UP and reversal.status in UNSETTLED:
        kind = CaseKind.REFUND_UNKNOWN
        if not await reversals.awaits_people(reversal.id, kind):
            await open_case(
                context,
                kind,
                now,
                payment=payment,
                amount=reversal.amount,
                reversal_id=reversal.id,
                about=f"refund {reversal.id}",
            )
    return after


async def settle(context: Context, reversal_id: str, evidence: Evidence) -> Reversal:
    """Let *evidence* about a refund do what the domain decides: the one door for what is said of it."""
    payment_id = await reversals.payment_of(reversal_id)
    assert payment_id is not None
    now = await context.clock()
    async with transaction():
        payment, was = await _locked(payment_id, reversal_id)
        after = await concluded(context, payment, was, evidence, now)
    if after is not was:
        changed = await payments.by_id(payment_id)
        assert changed is not None
        await announce(context, changed)
    log.info(
        "refund",
        reversal=reversal_id,
        payment=payment_id,
        result=evidence.result,
        was=was.status,
        now=after.status,
    )
    return after


# ── promise, ask, conclude ───────────────────────────────────────────────────────────────────────


async def send(context: Context, reversal_id: str) -> Reversal | None:
    """
    Ask the gateway for the refund, once; None where it was sent before, or another one comes first.

    One refund of an attempt at a time: what the gateway then says of its latest one is about this one.
    """
    now = await context.clock()
    payment_id = await reversals.payment_of(reversal_id)
    assert payment_id is not None
    async with transaction():
        payment, reversal = await _locked(payment_id, reversal_id)
        others = [item for item in await reversals.of_payment(payment_id) if item.id != reversal_id]
        under_way = [
            other for other in others if other.status in UNSETTLED and other.sent_at is not None
        ]
        unsent = reversal.status is ReversalStatus.PENDING and reversal.sent_at is None
        if not unsent or under_way:
            return None
        reversal = replace(reversal, sent_at=now, updated_at=now)
        await reversals.save(reversal)
        earlier = any(
            other.gateway is not None and other.status is ReversalStatus.DONE for other in others
        )
        whole = not earlier and reversal.amount == await reversals.captured(payment_id)
    return await settle(context, reversal_id, await _refund(context, payment, reversal, whole, now))


async def _refund(
    context: Context, payment: Payment, reversal: Reversal, whole: bool, now: datetime
) -> Evidence:
    attempt, gateway = _conversation(context, payment, reversal)
    source = f"{gateway.name.lower()}:refund"
    try:
        async with asyncio.timeout(ASKING_SECONDS):
            return await gateway.refund(attempt, reversal, whole=whole, now=now)
    except GatewayUnavailable:  # the breaker is open: nothing was sent
        return Evidence(source=None, origin=source, result=GatewayResult.NOT_CONNECTED)
    except TimeoutError:
        return Evidence(source=None, origin=source, result=GatewayResult.UNKNOWN)


async def follow_up(context: Context, reversal_id: str) -> datetime | None:
    """
    Send or ask if it is time to; return when to come again, None when nothing is left.

    Called as often as one likes: what is not due is not done.
    """
    reversal = await _reversal(reversal_id)
    step = _next(context, reversal)
    now = await context.clock()
    if step is None:
        await _give_up(context, reversal)
        return None
    if step.at > now:
        return step.at
    if step.step is Step.SEND:
        if await send(context, reversal_id) is None:
            return now + IN_TURN
    else:
        if reversal.status is ReversalStatus.PENDING:  # whoever sent it has died since
            silence = Evidence(source=None, origin="no answer", result=GatewayResult.UNKNOWN)
            await settle(context, reversal_id, silence)
        await _ask(context, reversal_id)
    after = await _reversal(reversal_id)
    following = _next(context, after)
    if following is None:
        await _give_up(context, after)
        return None
    return following.at


async def _ask(context: Context, reversal_id: str) -> None:
    """Inquire, and settle by the answer. One asker at a time, within the gateway's quota."""
    now = await context.clock()
    payment_id = await reversals.payment_of(reversal_id)
    assert payment_id is not None
    async with transaction():
        payment, reversal = await _locked(payment_id, reversal_id)
        attempt, gateway = _conversation(context, payment, reversal)
        quota = timedelta(seconds=gateway.ask_again_after)
        last = reversal.inquired_at
        asked = last is not None and last > (reversal.sent_at or now) and now < last + quota
        if reversal.status is not ReversalStatus.UNKNOWN or asked:
            return
        reversal = replace(reversal, inquiries=reversal.inquiries + 1, inquired_at=now)
        await reversals.save(reversal)
        others = await reversals.of_payment(payment_id)
    known = {other.gateway_id for other in others if other.id != reversal_id and other.gateway_id}
    evidence = await gateway.inquire_refund(attempt, reversal, known=known, now=now)
    await settle(context, reversal_id, evidence)


async def _give_up(context: Context, reversal: Reversal) -> None:
    """Leave to people what the table has no more for; what was never sent has failed."""
    if reversal.status not in UNSETTLED:
        return
    sent = reversal.sent_at is not None
    result = GatewayResult.GAVE_UP if sent else GatewayResult.UNPAID
    source = "no answer" if sent else "never sent"
    await settle(context, reversal.id, Evidence(source=None, origin=source, result=result))


def _next(context: Context, reversal: Reversal) -> Next | None:
    if reversal.gateway is None:
        return None
    gateway = _gateway(context, reversal)
    return next_step(reversal, quota=timedelta(seconds=gateway.ask_again_after))


def _conversation(
    context: Context, payment: Payment, reversal: Reversal
) -> tuple[Attempt, Refunds]:
    assert payment.attempt is not None
    return payment.attempt, _gateway(context, reversal)


def _gateway(context: Context, reversal: Reversal) -> Refunds:
    gateway = context.gateways.refunding(reversal.gateway)
    assert gateway is not None, "it was there when the refund was asked for"
    return gateway


async def _locked(payment_id: str, reversal_id: str) -> tuple[Payment, Reversal]:
    """Lock both, the payment first: everywhere in this order."""
    payment = await payments.lock(payment_id)
    reversal = await reversals.lock(reversal_id)
    assert payment is not None
    assert reversal is not None
    return payment, reversal


async def _reversal(reversal_id: str) -> Reversal:
    reversal = await reversals.by_id(reversal_id)
    assert reversal is not None, "a job is kept in the transaction of its reversal"
    return reversal
