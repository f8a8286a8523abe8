"""Inquiring at a gateway about a payment: for staff, before a cancellation, and when it is due."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

from db import attempts, payments
from domain.attempts import Attempt, AttemptStatus
from domain.gateways import ClosingGateway, Gateway, GatewaySilent
from domain.payment_evidence import Closing, Evidence, EvidenceSource, GatewayResult
from domain.payment_inquiry import DueInquiry, next_inquiry
from domain.payments import MoveRefused, Payment, PaymentStatus
from domain.refusals import check_reason
from domain.staff import Operation, check
from resolvers.attempts import attempt_of
from resolvers.audit import audited
from resolvers.context import Context
from resolvers.payment_evidence import apply
from resolvers.payments import visible
from resolvers.sessions import require_open

CLOSING_SECONDS = 8.0  # of a mutation's 25 s, after the inquiry that comes first
RETRY_AFTER_MS = 5000

NOT_STARTED = Evidence(source=None, origin="never sent", result=GatewayResult.NOT_STARTED)
SILENCE = Evidence(source=None, origin="no answer", result=GatewayResult.UNKNOWN)
GAVE_UP = Evidence(source=None, origin="no answer", result=GatewayResult.GAVE_UP)


@audited("verifyPayment")
async def verify(context: Context, payment_id: str) -> Payment:
    """
    Inquire now, and return the payment as it is then.

    Inside the gateway's quota its last answer counts. A payment that needs no inquiry is
    returned as it is. Raises NotFound, and GatewaySilent where the gateway does not answer.
    """
    actor = check(context.actor, Operation.FOLLOW_UP)
    payment = visible(await payments.by_id(payment_id), actor, payment_id)
    if payment.attempt is None or payment.status is PaymentStatus.SUCCESS:
        return payment
    evidence = await inquire(context, payment)
    if evidence is None:
        return payment
    if evidence.result is GatewayResult.UNKNOWN or evidence.result is GatewayResult.NOT_CONNECTED:
        raise GatewaySilent(gateway=payment.attempt.gateway, retry_after_ms=RETRY_AFTER_MS)
    return await payments.get(payment_id)


@audited("cancelPayment")
async def cancel(context: Context, payment_id: str, *, reason: str) -> Payment:
    """
    End a payment that was never sent, or that the gateway says is unpaid.

    Repeating it has no effect. Raises NotFound, TransitionRefused (paid meanwhile, or held), and
    GatewaySilent where the gateway does not say whether it was paid: nothing has changed then.
    """
    actor = check(context.actor, Operation.CANCEL)
    await require_open(context)
    reason = check_reason(reason)
    payment = visible(await payments.by_id(payment_id), actor, payment_id)
    if payment.status is PaymentStatus.CANCELLED:
        return payment
    attempt = payment.attempt
    if payment.is_final or attempt is None or payment.hold_reason is not None:
        raise _cannot_cancel(payment)
    if attempt.status is AttemptStatus.CREATED:
        closing = Closing.CANCELLED
        await apply(context, attempt.reference, NOT_STARTED, closing=closing, reason=reason)
    else:
        await inquire(context, payment, closing=Closing.CANCELLED, reason=reason)
    after = await payments.get(payment_id)
    # The gateway's answer may be that the payment has expired.
    if after.status in {PaymentStatus.CANCELLED, PaymentStatus.EXPIRED}:
        return after
    if after.is_final or after.hold_reason is not None:
        raise _cannot_cancel(after)
    raise GatewaySilent(gateway=attempt.gateway, retry_after_ms=RETRY_AFTER_MS)


async def follow_up(context: Context, payment_id: str) -> datetime | None:
    """
    Inquire about a payment if it is due; return the time of the next inquiry, or None.

    This concludes a payment after a lost webhook, a missing answer, a crash after sending, and at
    a QR's end. It may be called at any time: it inquires only when it is due.
    """
    payment = await payments.get(payment_id)
    due = _next_inquiry(context, payment)
    now = await context.clock()
    if due is None:
        await _give_up(context, payment)
        return None
    if due.at > now:
        return due.at
    await _inquire_when_due(context, payment, due, now)
    after = await payments.get(payment_id)
    following = _next_inquiry(context, after)
    if following is None:
        await _give_up(context, after)
        return None
    return following.at


async def _inquire_when_due(
    context: Context, payment: Payment, due: DueInquiry, now: datetime
) -> None:
    """Inquire about a payment that is due; a payment that was never sent has failed."""
    attempt = attempt_of(payment)
    if payment.status is PaymentStatus.PENDING:
        await apply(context, attempt.reference, NOT_STARTED)
        return
    if attempt.status is AttemptStatus.SENT:  # the process that sent it has died
        await apply(context, attempt.reference, SILENCE)
    await inquire(context, payment, closing=due.closing or _overdue(payment, now))


async def _give_up(context: Context, payment: Payment) -> None:
    """Leave an unknown outcome to people once the table has no further inquiry."""
    if payment.attempt is None or payment.is_final or payment.hold_reason is not None:
        return
    await apply(context, payment.attempt.reference, GAVE_UP)


async def inquire(
    context: Context,
    payment: Payment,
    *,
    closing: Closing | None = None,
    reason: str | None = None,
    skip_if_inquired: bool = False,
) -> Evidence | None:
    """
    Inquire and apply the answer: one inquiry at a time, within the gateway's quota.

    Inside the quota the last answer counts: UNPAID still allows `closing`. `skip_if_inquired` does
    nothing where another inquiry began since *payment* was read. Returns None without evidence.
    """
    attempt = attempt_of(payment)
    gateway = context.gateways[attempt.gateway]
    now = await context.clock()
    not_after = now - timedelta(seconds=gateway.inquiry_interval)
    if skip_if_inquired:
        not_after = min(not_after, attempt.inquired_at or attempt.created_at)
    if await attempts.claim_inquiry(attempt.reference, now=now, not_after=not_after):
        evidence = await gateway.inquire(attempt, now=now)
        await attempts.record_result(attempt.reference, evidence.result)
    elif closing is not None and await _was_unpaid(attempt):
        evidence = Evidence(
            source=EvidenceSource.INQUIRY,
            origin=f"{attempt.gateway.lower()}:last",
            result=GatewayResult.UNPAID,
        )
    else:
        return None
    if closing is not None and evidence.result is GatewayResult.UNPAID:
        evidence = await _close(gateway, attempt, evidence, now)
    await apply(context, attempt.reference, evidence, closing=closing, reason=reason)
    return evidence


async def _was_unpaid(attempt: Attempt) -> bool:
    return await attempts.last_result(attempt.reference) is GatewayResult.UNPAID


async def _close(gateway: Gateway, attempt: Attempt, unpaid: Evidence, now: datetime) -> Evidence:
    """Close an unpaid payment at a gateway that can; *unpaid* stands where it does not answer."""
    known = replace(attempt, gateway_id=unpaid.gateway_id or attempt.gateway_id)
    if not isinstance(gateway, ClosingGateway) or known.gateway_id is None:
        return unpaid
    try:
        async with asyncio.timeout(CLOSING_SECONDS):
            evidence = await gateway.close(known, now=now)
    except TimeoutError:
        return unpaid
    return unpaid if evidence.result is GatewayResult.UNKNOWN else evidence


def _next_inquiry(context: Context, payment: Payment) -> DueInquiry | None:
    """Return the next inquiry that the table names, None where there is none."""
    if payment.attempt is None:
        return None
    gateway = context.gateways[payment.attempt.gateway]
    return next_inquiry(
        payment,
        quota=timedelta(seconds=gateway.inquiry_interval),
        revocable=gateway.revocable,
    )


def _overdue(payment: Payment, now: datetime) -> Closing | None:
    """Return EXPIRED where an inquiry that was due before the QR's end runs after it."""
    is_late = not payment.is_final and now >= attempt_of(payment).expires_at
    return Closing.EXPIRED if is_late else None


def _cannot_cancel(payment: Payment) -> MoveRefused:
    return MoveRefused(payment_id=payment.id, status=payment.status, wanted=PaymentStatus.CANCELLED)
