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

from db import attempts, bills, jobs, ledger, limits, orders, payments
from db.jobs import Job
from db.transaction import transaction
from domain.decisions import decide
from domain.evidence import Closing, Decision, Effect, Evidence, Finding
from domain.limits import kinds_of
from domain.payments import Payment, PaymentStatus
from resolvers import audit
from resolvers.announcements import announce
from resolvers.cases import open_case
from resolvers.context import Context

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
) -> Applied:
    """
    Let *evidence* about one of our references do to its payment what the domain decides.

    `reason` is why somebody wants it to end, for the audit trail.

    Repeats, latecomers and parallel deliveries wait for the payment's row, find it changed, and
    change nothing. Raises UnknownReference.
    """
    payment_id = await attempts.payment_of(reference)
    if payment_id is None:
        raise UnknownReference(reference)
    now = await context.clock()
    while True:
        try:
            async with transaction():
                payment = await payments.lock(payment_id)
                assert payment is not None
                assert payment.attempt is not None
                decision = decide(
                    payment,
                    payment.attempt,
                    evidence,
                    now=now,
                    closing=closing,
                    bills_open=await _bills_open(payment, evidence),
                )
                await _write(context, payment, decision, evidence, now, reason)
            break
        except bills.TakenMeanwhile:
            continue  # the bill was taken between the look and the lock: look again
    after = decision.after
    if decision.changed:
        await announce(context, after)
    log.info(
        "evidence",
        payment=payment_id,
        source=evidence.source,
        finding=evidence.finding,
        was=payment.status,
        now=after.status,
        changed=decision.changed,
    )
    return Applied(payment=after, decision=decision)


async def _bills_open(payment: Payment, evidence: Evidence) -> bool:
    """Tell whether what a payment that has ended was for can still be paid by it."""
    if not (payment.is_final and evidence.finding is Finding.PAID):
        return True
    if payment.order is None:
        return await bills.are_open(payment)
    await orders.lock(payment.order.id)
    return await orders.collection(payment.order.id, but=payment.id) is None


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
    if decision.ask:
        if evidence.finding is Finding.PAID:
            await attempts.note_claim(decision.attempt.reference, now)
        await jobs.enqueue([Job(name="inquire", subject=after.id, after=timedelta(seconds=1))])
    if not decision.changed:
        return
    await attempts.save(decision.attempt)
    await payments.save(after)
    await ledger.post(evidence.finding, decision.postings, now, payment_id=after.id)
    await _carry_out(decision.effect, after)
    if decision.case is not None:
        amount = evidence.money.amount if evidence.money else None
        await open_case(context, decision.case, now, payment=after, amount=amount)
    await audit.record(context, "apply", before.status, after, now, evidence, reason)
    if after.status is PaymentStatus.SUCCESS and before.status is not PaymentStatus.SUCCESS:
        await jobs.enqueue(after_success(after))


async def _carry_out(effect: Effect, payment: Payment) -> None:
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
