"""Asking a gateway for a payment that is promised: commit that we send, send, and apply what comes back."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from db import attempts, idempotency, payments
from db.transaction import transaction
from domain.attempts import AttemptStatus
from domain.gateways import Gateway, GatewayUnavailable, Purchase
from domain.payment_evidence import Evidence, GatewayResult
from domain.payments import Payment, PaymentStatus
from resolvers import audit, gateways
from resolvers.context import Context
from resolvers.payment_announcement import announce
from resolvers.payment_evidence import apply

ASKING_SECONDS = 14.0  # the gateway's share of a mutation's 25 s; after it the outcome is UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedKey:
    """The client's key under which a payment was promised: its request is in flight until we answer."""

    actor_id: str
    operation: str
    key: str


async def ask(
    context: Context, claim: ClaimedKey, payment: Payment, gateway: Gateway, purchase: Purchase
) -> Payment:
    """
    Return the payment as it is once its gateway has answered, or stayed silent.

    It goes on when the client hangs up: what was begun is concluded.
    """
    asking = asyncio.ensure_future(_ask(context, claim, payment, gateway, purchase))
    return await asyncio.shield(asking)


async def _ask(
    context: Context, claim: ClaimedKey, payment: Payment, gateway: Gateway, purchase: Purchase
) -> Payment:
    try:
        sent = await _sent(context, payment)
        assert sent.attempt is not None
        evidence = await _start(context, gateway, sent, purchase)
        return (await apply(context, sent.attempt.reference, evidence)).payment
    finally:
        now = await context.clock()
        await idempotency.answered(claim.actor_id, claim.operation, claim.key, now)


async def _sent(context: Context, payment: Payment) -> Payment:
    """Mark the attempt SENT. A crash from here on is visible, and asked about."""
    now = await context.clock()
    async with transaction():
        locked = await payments.lock(payment.id)
        assert locked is not None
        assert locked.attempt is not None
        moved = locked.become(PaymentStatus.PROCESSING, now)
        attempt = replace(locked.attempt, status=AttemptStatus.SENT, sent_at=now)
        moved = replace(moved, attempt=attempt)
        await payments.save(moved)
        await attempts.save(attempt)
        await audit.record(context, "send", locked.status, moved, now)
    await announce(context, moved)
    return moved


async def _start(context: Context, gateway: Gateway, sent: Payment, purchase: Purchase) -> Evidence:
    assert sent.attempt is not None
    source = f"{gateway.name.lower()}:start"
    try:
        async with asyncio.timeout(ASKING_SECONDS):
            return await gateway.start(sent.attempt, purchase, now=sent.updated_at)
    except GatewayUnavailable as stopped:  # the breaker opened since we looked: nothing was sent
        failure = await gateways.not_sent(context, sent, stopped)
        return Evidence(
            source=None, origin=source, result=GatewayResult.NOT_CONNECTED, failure=failure
        )
    except TimeoutError:
        return Evidence(source=None, origin=source, result=GatewayResult.UNKNOWN)
