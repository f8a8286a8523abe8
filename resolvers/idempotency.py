"""The first door: what a client's key already stands for, asked before anything new is opened."""

from __future__ import annotations

import asyncio

from db import idempotency
from domain.idempotency import WAIT_SECONDS, IdempotencyInProgress, IdempotencyKeyReused
from resolvers.context import Context

# How long to wait between looks, together WAIT_SECONDS: quick at first, as most answers are.
_LOOKS = (0.05, 0.1, 0.2, 0.4, 0.5, WAIT_SECONDS - 1.25)


async def earlier(
    context: Context, actor_id: str, operation: str, key: str, fingerprint: bytes
) -> str | None:
    """
    Return the id of what *key* opened before, None for a new key.

    A first request that has not answered yet is waited for; once it has answered, or its process
    has died, what it opened is returned. Raises IdempotencyKeyReused, IdempotencyInProgress.
    """
    for wait in (*_LOOKS, None):
        claim = await idempotency.find(actor_id, operation, key, await context.clock())
        if claim is None:
            return None
        if claim.fingerprint != fingerprint:
            raise IdempotencyKeyReused(payment_id=claim.payment_id)
        if not claim.in_flight:
            return claim.subject_id
        if wait is None:
            raise IdempotencyInProgress(payment_id=claim.payment_id, retry_after_ms=1000)
        await asyncio.sleep(wait)
    return None
