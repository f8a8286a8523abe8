"""
Evidence: whatever is said about money from outside, by whichever road, enters here, and only here.

The gateway's answer, its webhook, our inquiry, a settlement line, two people: `apply` locks the
payment, lets the domain decide, and writes what was decided, all in one transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from db import attempts, bills, cases, jobs, ledger, limits, orders, payments
from db.jobs import Job
from db.transaction import transaction
from domain.cases import Case
from domain.limits import kinds_of
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payment_decisions import decide
from domain.payment_evidence import Closing, Decision, Effect, Evidence, GatewayResult
from domain.payments import Payment, PaymentStatus
from resolvers import audit
from resolvers.cases import open_case
from resolvers.context import Context
from resolvers.payment_announcement import announce
from resolvers.retries import retry_when_taken

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class UnknownReference(Exception):
    """No attempt of ours has this reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    payment: Payment
    decision: Decision


async def apply(
    context: Context,
    reference: str,
    evidence: Evidence,
    *,
    closing: Closing | None = None,
    reason: str | None = None,
    told_by: GatewayName | None = None,
) -> Applied:
    """
    Let *evidence* about one of our references do to its payment what the domain decides.

    `reason` is why somebody wants it to end, for the audit trail. A reference that `told_by` was never
    given is unknown: money that came elsewhere is not booked as this gateway's.

    Repeats, latecomers and parallel deliveries wait for the payment's row, find it changed, and
    change nothing. Raises UnknownReference, and TakenMeanwhile past the bound of tries.
    """
    payment_id = await attempts.payment_of(reference, told_by)
    if payment_id is None:
        raise UnknownReference(reference)
    now = await context.clock()

    async def apply_once() -> Applied:
        async with transaction():
            payment = await payments.locked(payment_id)
            return await conclude(context, payment, evidence, now, closing=closing, reason=reason)

    applied = await retry_when_taken(apply_once)
    if applied.decision.changed:
        await announce(context, applied.payment)
    return applied


async def conclude(
    context: Context,
    payment: Payment,
    evidence: Evidence,
    now: datetime,
    *,
    closing: Closing | None = None,
    reason: str | None = None,
    case: Case | None = None,
) -> Applied:
    """
    Do what the domain decides, in the caller's transaction, which has locked *payment*.

    `case` is what two people decided. The caller announces what changed, after its commit. Raises
    TakenMeanwhile.
    """
    decision = decide(
        payment,
        payment.attempt,
        evidence,
        now=now,
        closing=closing,
        bills_open=await _bills_open(payment, evidence),
        case=case or await _unread(payment, evidence, now),
    )
    await _write(context, payment, decision, evidence, now, reason)
    log.info(
        "evidence",
        payment=payment.id,
        source=evidence.origin,
        result=evidence.result,
        was=payment.status,
        now=decision.after.status,
        changed=decision.changed,
        unreadable=evidence.unreadable,
    )
    return Applied(payment=decision.after, decision=decision)


async def _bills_open(payment: Payment, evidence: Evidence) -> bool:
    """Tell whether what a payment that has ended was for can still be paid by it."""
    if not (payment.is_final and evidence.result is GatewayResult.PAID):
        return True
    if payment.order is None:
        return await bills.are_open(payment)
    await orders.lock(payment.order.id)
    return await orders.collection(payment.order.id, but=payment.id) is None


async def _unread(payment: Payment, evidence: Evidence, now: datetime) -> Case | None:
    """Return the open case about a sum of *payment* that cannot be read, where *evidence* tells of money."""
    over = payment.status is PaymentStatus.SUCCESS
    if evidence.result is not GatewayResult.PAID or over or not _may_wait(payment):
        return None
    return await cases.unread(payment.id, evidence.gateway_id, now)


def _may_wait(payment: Payment) -> bool:
    """Return whether people may have a case about money of *payment*: of none that is simply open."""
    return payment.is_final or payment.hold_reason is not None


async def _write(
    context: Context,
    before: Payment,
    decision: Decision,
    evidence: Evidence,
    now: datetime,
    reason: str | None,
) -> None:
    """Write what was decided; in the caller's transaction, under its lock."""
    after = decision.after
    attempt = decision.attempt
    if decision.ask:
        if evidence.result is GatewayResult.PAID and attempt is not None:
            await attempts.note_claim(attempt.reference, now)
        await jobs.enqueue([Job(name="inquire", subject=after.id, after=timedelta(seconds=1))])
    if not decision.changed:
        return
    if attempt is not None:
        await attempts.save(attempt)
    await payments.save(after)
    event = evidence.decided or evidence.result
    await ledger.post(event, decision.postings, now, payment_id=after.id)
    await _carry_out(decision.effect, after, evidence)
    amount, number = _in_dong(evidence.money), evidence.gateway_id
    case_id = None
    if decision.case is not None:
        case = await open_case(
            context,
            decision.case,
            now,
            payment=after,
            amount=amount,
            number=number,
            unreadable=evidence.unreadable,
        )
        case_id = case.id
    came = evidence.money is not None and evidence.money.amount > 0
    if came and evidence.result is GatewayResult.PAID and _may_wait(before):
        await cases.note_sum(after.id, number, amount=amount, case_id=case_id)
    action = "LATE_SUCCESS" if decision.effect is Effect.COLLECT_LATE else "apply"
    await audit.record(context, action, before.status, after, now, evidence, reason)
    if after.status is PaymentStatus.SUCCESS and before.status is not PaymentStatus.SUCCESS:
        await jobs.enqueue(after_success(after))


async def _carry_out(effect: Effect, payment: Payment, evidence: Evidence) -> None:
    kinds = kinds_of(payment.method)
    counted = (payment.staff_id, kinds, payment.amount)
    match effect:
        case Effect.NONE:
            pass
        case Effect.COLLECT:
            await orders.paid(payment)
            await limits.use(*counted, today=payment.business_date)
        case Effect.COLLECT_LATE:
            await bills.lock_again(payment)
            await orders.paid(payment)
            await limits.use_late(*counted, today=payment.business_date)
        case Effect.RELEASE:
            await bills.release(payment)
            await limits.release(*counted, today=payment.business_date)
            if evidence.decided is not None:  # what was held was not asked about meanwhile
                await jobs.enqueue([Job(name="follow_up", subject=payment.id)])
        case Effect.RECORD:
            await jobs.enqueue([Job(name="record_payment", subject=payment.id)])


def _in_dong(money: Money | None) -> int | None:
    """Return what a case says of an amount: nothing, where it is another currency's, or is none that is booked."""
    if money is None or money.currency is not Currency.VND or money.amount <= 0:
        return None
    return money.amount


def after_success(payment: Payment) -> Sequence[Job]:
    """
    Return what a success sets going, enqueued with it; Debt is told once Revenue has recorded it.

    Neither knows a merchant's orders, and the merchant tells its own customer.
    """
    if payment.order is not None:
        return []
    return [
        Job(name="record_payment", subject=payment.id),
        Job(name="notify_customer", subject=payment.id),
    ]
