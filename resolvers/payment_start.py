"""Starting an opened payment at its gateway: commit that we send, send, apply the answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from db import attempts, payments
from db.transaction import transaction
from domain.attempts import AttemptStatus
from domain.gateways import Gateway, GatewayUnavailable, Purchase
from domain.payment_evidence import Evidence, GatewayResult
from domain.payments import Payment, PaymentStatus
from resolvers import gateways
from resolvers.attempts import attempt_of
from resolvers.context import Context
from resolvers.idempotency import CommandKey, mark_answered
from resolvers.payment_announcement import announce
from resolvers.payment_evidence import apply
from resolvers.payment_transitions import Transition, record_transitions

# The gateway's share of a mutation's 25 s; after it the result is UNKNOWN.
GATEWAY_TIMEOUT_SECONDS = 14.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """
    A payment as a command leaves it. `replayed` is true where the key was used before.

    `refusals` say why the payment's gateway never took it, and what to use instead.
    """

    payment: Payment
    replayed: bool = False
    refusals: tuple[GatewayUnavailable, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A committed payment with its gateway and what the gateway needs to know."""

    payment: Payment
    gateway: Gateway
    purchase: Purchase


async def start_at_gateway(context: Context, key: CommandKey, start: Start) -> Processed:
    """
    Return the payment as it is once its gateway has answered, or has not answered in time.

    It continues when the client disconnects: a payment that was sent is always concluded.
    """
    return await asyncio.shield(asyncio.ensure_future(_start(context, key, start)))


async def replay_payment(context: Context, payment_id: str) -> Processed:
    """Return the payment that an earlier request with the same key opened."""
    payment = await payments.get(payment_id)
    refusals = await gateways.start_refusals(context, payment)
    return Processed(payment=payment, replayed=True, refusals=refusals)


async def _start(context: Context, key: CommandKey, start: Start) -> Processed:
    try:
        sent = await _mark_sent(context, start.payment)
        answer = await _send(context, sent, start.gateway, start.purchase)
        applied = await apply(context, attempt_of(sent).reference, answer.evidence)
    finally:
        await mark_answered(context, key)
    refusals = await gateways.start_refusals(
        context, applied.payment, retry_after_ms=answer.retry_after_ms
    )
    return Processed(payment=applied.payment, refusals=refusals)


async def _mark_sent(context: Context, payment: Payment) -> Payment:
    """Commit that the attempt is SENT: after a crash from here on, the gateway is inquired."""
    now = await context.clock()
    async with transaction():
        before = await payments.locked(payment.id)
        attempt = replace(attempt_of(before), status=AttemptStatus.SENT, sent_at=now)
        after = replace(before.become(PaymentStatus.PROCESSING, now), attempt=attempt)
        await payments.save(after)
        await attempts.save(attempt)
        sending = Transition(action="send", before=before.status, after=after, at=now)
        await record_transitions(context, sending)
    await announce(context, after)
    return after


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """`retry_after_ms` is when an open breaker lets a call through again."""

    evidence: Evidence
    retry_after_ms: int | None = None


async def _send(context: Context, sent: Payment, gateway: Gateway, purchase: Purchase) -> _Answer:
    origin = f"{gateway.name.lower()}:start"
    try:
        async with asyncio.timeout(GATEWAY_TIMEOUT_SECONDS):
            evidence = await gateway.start(attempt_of(sent), purchase, now=sent.updated_at)
            return _Answer(evidence=evidence)
    except GatewayUnavailable as refusal:  # the breaker opened meanwhile: nothing was sent
        failure = await gateways.not_sent_failure(context, sent)
        result = GatewayResult.NOT_CONNECTED
        evidence = Evidence(source=None, origin=origin, result=result, failure=failure)
        return _Answer(evidence=evidence, retry_after_ms=refusal.retry_after_ms)
    except TimeoutError:
        return _Answer(evidence=Evidence(source=None, origin=origin, result=GatewayResult.UNKNOWN))
