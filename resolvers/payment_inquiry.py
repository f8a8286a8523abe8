"""Asking a gateway what became of a payment: when staff ask, cancel, or the clock says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from db import attempts, payments
from domain.attempts import Attempt, AttemptStatus
from domain.gateways import Closes, Gateway, GatewaySilent
from domain.payment_evidence import Closing, Evidence, EvidenceSource, GatewayResult
from domain.payment_inquiry import Question, next_question
from domain.payments import MoveRefused, Payment, PaymentStatus
from domain.refusals import check_reason
from domain.staff import Operation, check
from resolvers.audit import command
from resolvers.context import Context
from resolvers.payment_evidence import apply
from resolvers.payments import visible

CLOSING_SECONDS = 8.0  # of a mutation's 25 s, after the question that comes first


@command("verifyPayment")
async def verify(context: Context, payment_id: str) -> Payment:
    """
    Ask the gateway now, and return the payment as it is then.

    Inside the gateway's own quota its last answer stands. Raises NotFound, and GatewaySilent
    when it does not answer; a payment with nothing to ask is returned as it is.
    """
    actor = check(context.actor, Operation.FOLLOW_UP)
    payment = visible(await payments.by_id(payment_id), actor, payment_id)
    if payment.attempt is None or payment.status is PaymentStatus.SUCCESS:
        return payment
    asked = await ask(context, payment)
    if asked is None:
        return payment
    if asked.result is GatewayResult.UNKNOWN or asked.result is GatewayResult.NOT_CONNECTED:
        raise GatewaySilent(gateway=payment.attempt.gateway, retry_after_ms=5000)
    return await _afresh(payment)


@command("cancelPayment")
async def cancel(context: Context, payment_id: str, *, reason: str) -> Payment:
    """
    End an unpaid payment: never sent, or unpaid by the gateway's own word.

    Cancelling twice is once. Raises NotFound, TransitionRefused (paid meanwhile, or held), and
    GatewaySilent when the gateway can't say whether it was paid: nothing has changed then.
    """
    actor = check(context.actor, Operation.CANCEL)
    reason = check_reason(reason)
    payment = visible(await payments.by_id(payment_id), actor, payment_id)
    if payment.status is PaymentStatus.CANCELLED:
        return payment
    attempt = payment.attempt
    if payment.is_final or attempt is None or payment.hold_reason is not None:
        raise _cannot_cancel(payment)
    if attempt.status is AttemptStatus.CREATED:
        unsent = Evidence(source=None, origin="never sent", result=GatewayResult.NOT_STARTED)
        await apply(context, attempt.reference, unsent, closing=Closing.CANCELLED, reason=reason)
    else:
        await ask(context, payment, closing=Closing.CANCELLED, reason=reason)
    after = await _afresh(payment)
    if after.status in {PaymentStatus.CANCELLED, PaymentStatus.EXPIRED}:  # it may tell of it first
        return after
    if after.is_final or after.hold_reason is not None:
        raise _cannot_cancel(after)
    raise GatewaySilent(gateway=attempt.gateway, retry_after_ms=5000)


async def follow_up(context: Context, payment_id: str) -> datetime | None:
    """
    Ask about a payment if it is time to; return when to come again, None when nothing is left.

    The road by which a lost webhook, a silent gateway, a crash after sending and a QR's end are
    all settled. Called as often as one likes: it asks only when it is due.
    """
    payment = await payments.by_id(payment_id)
    assert payment is not None
    question = _question(context, payment)
    now = await context.clock()
    if question is None:
        await _give_up(context, payment)
        return None
    if question.at > now:
        return question.at
    assert payment.attempt is not None
    if payment.status is PaymentStatus.PENDING:
        lost = Evidence(source=None, origin="never sent", result=GatewayResult.NOT_STARTED)
        await apply(context, payment.attempt.reference, lost)
    else:
        if payment.attempt.status is AttemptStatus.SENT:  # whoever sent it has died since
            silence = Evidence(source=None, origin="no answer", result=GatewayResult.UNKNOWN)
            await apply(context, payment.attempt.reference, silence)
        await ask(context, payment, closing=question.closing or _overdue(payment, now))
    after = await _afresh(payment)
    following = _question(context, after)
    if following is None:
        await _give_up(context, after)
        return None
    return following.at


async def _give_up(context: Context, payment: Payment) -> None:
    """Leave to people what the table has no more questions for, where the outcome is still unknown."""
    if payment.attempt is None or payment.is_final or payment.hold_reason is not None:
        return
    silence = Evidence(source=None, origin="no answer", result=GatewayResult.GAVE_UP)
    await apply(context, payment.attempt.reference, silence)


async def ask(
    context: Context,
    payment: Payment,
    *,
    closing: Closing | None = None,
    reason: str | None = None,
    first: bool = False,
) -> Evidence | None:
    """
    Inquire, and apply the answer. One asker at a time, within the gateway's quota.

    Inside the quota the last answer counts: "unpaid" still closes what was to be closed. With
    `first` nobody is asked when somebody has asked since *payment* was read. Returns None where
    that says nothing.
    """
    attempt = payment.attempt
    assert attempt is not None
    gateway = context.gateways[attempt.gateway]
    now = await context.clock()
    not_after = now - timedelta(seconds=gateway.ask_again_after)
    if first:
        not_after = min(not_after, attempt.inquired_at or attempt.created_at)
    if await attempts.claim_inquiry(attempt.reference, now=now, not_after=not_after):
        evidence = await gateway.inquire(attempt, now=now)
        await attempts.record_result(attempt.reference, evidence.result)
    elif (
        closing is not None
        and await attempts.last_finding(attempt.reference) is GatewayResult.UNPAID
    ):
        evidence = Evidence(
            source=EvidenceSource.INQUIRY,
            origin=f"{attempt.gateway.lower()}:last",
            result=GatewayResult.UNPAID,
        )
    else:
        return None
    if closing is not None and evidence.result is GatewayResult.UNPAID:
        evidence = await _closed(gateway, attempt, evidence, now)
    await apply(context, attempt.reference, evidence, closing=closing, reason=reason)
    return evidence


async def _closed(gateway: Gateway, attempt: Attempt, unpaid: Evidence, now: datetime) -> Evidence:
    """Have the gateway close what is unpaid, where it can; without its word *unpaid* stands."""
    known = replace(attempt, gateway_id=unpaid.gateway_id or attempt.gateway_id)
    if not isinstance(gateway, Closes) or known.gateway_id is None:
        return unpaid
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            said = await gateway.close(known, now=now)
    except TimeoutError:
        return unpaid
    return unpaid if said.result is GatewayResult.UNKNOWN else said


def _question(context: Context, payment: Payment) -> Question | None:
    if payment.attempt is None:
        return None
    gateway = context.gateways[payment.attempt.gateway]
    return next_question(
        payment,
        quota=timedelta(seconds=gateway.ask_again_after),
        revocable=gateway.revocable,
    )


def _overdue(payment: Payment, now: datetime) -> Closing | None:
    """Return EXPIRED when a question that fell due before the QR's end is only put after it."""
    attempt = payment.attempt
    late = attempt is not None and not payment.is_final and now >= attempt.expires_at
    return Closing.EXPIRED if late else None


async def _afresh(payment: Payment) -> Payment:
    after = await payments.by_id(payment.id)
    assert after is not None
    return after


def _cannot_cancel(payment: Payment) -> MoveRefused:
    return MoveRefused(payment_id=payment.id, status=payment.status, wanted=PaymentStatus.CANCELLED)
