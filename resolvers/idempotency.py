"""
The idempotent command: one key opens one thing, however often its request arrives.

Every client write that opens something new runs through `run_once`: look the key up, claim it in
the transaction that opens, finish, or replay what the key opened before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from db import idempotency
from domain.idempotency import (
    WAIT_SECONDS,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    fingerprint,
)
from domain.refusals import Refusal, Refused
from domain.staff import Actor
from resolvers.context import Context

Opened = TypeVar("Opened")
Result = TypeVar("Result")

# Seconds between two looks, WAIT_SECONDS in all: short at first, because most answers are quick.
_WAITS = (0.05, 0.1, 0.2, 0.4, 0.5, WAIT_SECONDS - 1.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandKey:
    """A client's key with its scope (actor and operation) and the fingerprint of its input."""

    actor_id: str
    operation: str
    key: str
    fingerprint: bytes


class KeyTaken(Exception):
    """Another request claimed the key first. The transaction is rolled back."""


def command_key(actor: Actor, operation: str, key: str, facts: object) -> CommandKey:
    """Return *actor*'s key for the canonical input *facts* (JSON values only)."""
    return CommandKey(
        actor_id=actor.id,
        operation=operation,
        key=key,
        fingerprint=fingerprint(operation, facts),
    )


async def run_once(
    context: Context,
    key: CommandKey,
    *,
    open_new: Callable[[], Awaitable[Opened]],
    finish: Callable[[Opened], Awaitable[Result]],
    replay: Callable[[str], Awaitable[Result]],
) -> Result:
    """
    Return what `finish` makes of what `open_new` opens, or `replay` of the id that the key opened.

    `open_new` must claim the key in its transaction; `finish` runs after that transaction is
    committed. Raises what they raise, IdempotencyKeyReused and IdempotencyInProgress.
    """
    if (subject_id := await _opened_before(context, key)) is not None:
        return await replay(subject_id)
    try:
        opened = await open_new()
    except (KeyTaken, Refusal, Refused):
        # A request with the same key may have won meanwhile and be the cause of the refusal.
        if (subject_id := await _opened_before(context, key)) is None:
            raise
        return await replay(subject_id)
    return await finish(opened)


async def claim(context: Context, key: CommandKey, subject_id: str, *, answered: bool) -> datetime:
    """
    Take the key for *subject_id*, first of all in the transaction that opens it.

    Returns the time of the operation, read by the same statement. `answered` says that the commit
    is the answer; otherwise repeats wait until `mark_answered`. Raises KeyTaken, and
    Unauthenticated where the actor's session has ended.
    """
    now = await idempotency.claim(
        key.actor_id,
        key.operation,
        key.key,
        fingerprint=key.fingerprint,
        subject_id=subject_id,
        process=context.process,
        at=await context.clock.override(),
        answered=answered,
        session=context.actor.session if context.actor else None,
    )
    if now is None:
        raise KeyTaken
    return now


async def mark_answered(context: Context, key: CommandKey) -> None:
    """Note that the first request has its answer: repeats no longer wait for it."""
    at = await context.clock.override()
    await idempotency.mark_answered(key.actor_id, key.operation, key.key, at)


async def _opened_before(context: Context, key: CommandKey) -> str | None:
    """
    Return the id of what the key opened before, None for a new key.

    Waits for a first request that is still in flight: not answered yet, its process alive.
    Raises IdempotencyKeyReused, IdempotencyInProgress.
    """
    for wait in (*_WAITS, None):
        at = await context.clock.override()
        known = await idempotency.find(key.actor_id, key.operation, key.key, at)
        if known is None:
            return None
        if known.fingerprint != key.fingerprint:
            raise IdempotencyKeyReused(payment_id=known.payment_id)
        if not known.in_flight:
            return known.subject_id
        if wait is None:
            raise IdempotencyInProgress(payment_id=known.payment_id, retry_after_ms=1000)
        await asyncio.sleep(wait)
    return None
