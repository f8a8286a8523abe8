"""
Evidence: everything that a source outside says about a payment enters through `apply` alone.

The source may be a gateway's answer, its webhook, our inquiry, a settlement line or two people.
One transaction locks the payment, lets the domain decide, and writes the decision.
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
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.lost_races import retry_when_taken
from resolvers.payment_announcement import announce
from resolvers.payment_transitions import Transition, record_transitions

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

INQUIRE_AFTER = timedelta(seconds=1)


class UnknownReference(Exception):
    """No attempt of ours has this reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    payment: Payment
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How an unpaid payment is to end, and a person's reason for it, for the audit log."""

    closing: Closing | None = None
    reason: str | None = None


_NO_ENDING = Ending()


async def apply(
    context: Context,
    reference: str,
    evidence: Evidence,
    *,
    closing: Closing | None = None,
    reason: str | None = None,
    gateway: GatewayName | None = None,
) -> Applied:
    """
    Apply the domain's decision about *evidence* to the payment of *reference*.

    `closing` and `reason` are those of `Ending`. With `gateway`, a reference that was given to
    another gateway is unknown. Repeats and late or parallel deliveries wait for the payment's row
    and change nothing. Raises UnknownReference, and TakenMeanwhile past the bound of tries.
    """
    payment_id = await attempts.payment_of(reference, gateway)
    if payment_id is None:
        raise UnknownReference(reference)
    now = await context.clock()
    ending = Ending(closing=closing, reason=reason)

    async def apply_once() -> Applied:
        async with transaction():
            payment = await payments.locked(payment_id)
            return await conclude(context, payment, evidence, now, ending=ending)

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
    ending: Ending = _NO_ENDING,
    case: Case | None = None,
) -> Applied:
    """
    Decide and write, in the caller's transaction, which has locked *payment*.

    `case` is the case that two people decide. The caller announces a change after its commit.
    Raises TakenMeanwhile.
    """
    decision = decide(
        payment,
        payment.attempt,
        evidence,
        now=now,
        closing=ending.closing,
        bills_open=await _are_bills_open(payment, evidence),
        case=case or await _unreadable_case(payment, evidence, now),
    )
    if decision.inquire:
        await _request_inquiry(decision, evidence, now)
    if decision.changed:
        await _write(context, payment, decision, evidence, now, ending.reason)
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


# ── what the domain must know ────────────────────────────────────────────────────────────────────


async def _are_bills_open(payment: Payment, evidence: Evidence) -> bool:
    """
    Return whether the bills or order of an ended payment are still unpaid and unlocked.

    Only the evidence of a late success needs to know; the answer is True for any other.
    """
    if not (payment.is_final and evidence.result is GatewayResult.PAID):
        return True
    if payment.order is None:
        return await bills.are_open(payment)
    await orders.lock(payment.order.id)
    return await orders.collecting_payment_id(payment.order.id, but=payment.id) is None


async def _unreadable_case(payment: Payment, evidence: Evidence, now: datetime) -> Case | None:
    """Return the payment's open case about an unreadable sum, where the evidence is about money."""
    if evidence.result is not GatewayResult.PAID or payment.status is PaymentStatus.SUCCESS:
        return None
    if not _may_have_case(payment):
        return None
    return await cases.open_unreadable(payment.id, evidence.gateway_id, now)


def _may_have_case(payment: Payment) -> bool:
    """Return whether a case can be about the payment's money: none is while it is simply open."""
    return payment.is_final or payment.hold_reason is not None


# ── what is written ──────────────────────────────────────────────────────────────────────────────


async def _request_inquiry(decision: Decision, evidence: Evidence, now: datetime) -> None:
    """Enqueue an inquiry, and note the claim where the evidence says that money arrived."""
    if evidence.result is GatewayResult.PAID and decision.attempt is not None:
        await attempts.note_claim(decision.attempt.reference, now)
    job = Job(name="inquire", subject=decision.payment.id, after=INQUIRE_AFTER)
    await jobs.enqueue([job])


async def _write(
    context: Context,
    before: Payment,
    decision: Decision,
    evidence: Evidence,
    now: datetime,
    reason: str | None,
) -> None:
    """Write a decision that changes the payment: money first, then cases, audit and jobs."""
    after = decision.after
    if decision.attempt is not None:
        await attempts.save(decision.attempt)
    await payments.save(after)
    event = evidence.decided or evidence.result
    await ledger.post_and_audit(event, decision.postings, now, payment_id=after.id)
    await _apply_effect(decision.effect, after, evidence)
    await _write_case(context, before, decision, evidence, now)
    transition = Transition(
        action="LATE_SUCCESS" if decision.effect is Effect.COLLECT_LATE else "apply",
        before=before.status,
        after=after,
        at=now,
        evidence=evidence,
        reason=reason,
    )
    succeeds = after.status is PaymentStatus.SUCCESS and before.status is not PaymentStatus.SUCCESS
    await record_transitions(
        context, transition, new_jobs=jobs_after_success(after) if succeeds else ()
    )


async def _apply_effect(effect: Effect, payment: Payment, evidence: Evidence) -> None:
    """Apply the decision's effect to the payment's bills, order, limits and jobs."""
    counted = (payment.staff_id, kinds_of(payment.method), payment.amount)
    match effect:
        case Effect.NONE:
            pass
        case Effect.COLLECT:
            await orders.mark_paid(payment)
            await limits.use(*counted, today=payment.business_date)
        case Effect.COLLECT_LATE:
            await bills.lock_again(payment)
            await orders.mark_paid(payment)
            await limits.use_late(*counted, today=payment.business_date)
        case Effect.RELEASE:
            await bills.release(payment)
            await limits.release(*counted, today=payment.business_date)
            if evidence.decided is not None:  # a held payment was not followed up meanwhile
                await jobs.enqueue([Job(name="follow_up", subject=payment.id)])
        case Effect.RECORD:
            await jobs.enqueue([Job(name="record_payment", subject=payment.id)])


async def _write_case(
    context: Context, before: Payment, decision: Decision, evidence: Evidence, now: datetime
) -> None:
    """Open the case that the decision calls for, and note a sum that an open case waits for."""
    after, number = decision.after, evidence.gateway_id
    amount = _vnd_amount(evidence.money)
    case_id = None
    if decision.case is not None:
        new_case = NewCase(
            kind=decision.case,
            payment=after,
            amount=amount,
            number=number,
            unreadable=evidence.unreadable,
        )
        case_id = (await open_case(context, new_case, now)).id
    has_sum = evidence.money is not None and evidence.money.amount > 0
    if has_sum and evidence.result is GatewayResult.PAID and _may_have_case(before):
        await cases.note_amount(after.id, number, amount=amount, case_id=case_id)


def _vnd_amount(money: Money | None) -> int | None:
    """Return the amount that a case shows, None where it is not VND or not booked."""
    if money is None or money.currency is not Currency.VND or money.amount <= 0:
        return None
    return money.amount


def jobs_after_success(payment: Payment) -> Sequence[Job]:
    """
    Return the jobs that a success enqueues: Revenue's record and the customer's notification.

    An order has none: Revenue knows no orders, and the merchant notifies its own customer.
    """
    if payment.order is not None:
        return []
    return [
        Job(name="record_payment", subject=payment.id),
        Job(name="notify_customer", subject=payment.id),
    ]
