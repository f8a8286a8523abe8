"""A payment, watched: as it is now, then after each change, until it can change no more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import structlog

from db import payments
from domain.payments import Payment
from resolvers.context import Context
from resolvers.payments import read

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 60.0  # should even the sweep have stopped


async def payment(context: Context, payment_id: str) -> AsyncGenerator[Payment]:
    """
    Yield the payment now, and each newer version; complete on a final state. Raises NotFound.

    The order is what makes it sure: listen first, then read. A hint only says "look again": the
    payment is always read from the database, so one lost, repeated or late does no harm.
    """
    async with context.hub.watch(f"payment:{payment_id}") as wakes:
        current = await read(context, payment_id)
        sent = 0
        while True:
            if current.version > sent:
                sent = current.version
                yield current
            if current.is_final:
                return
            await wakes.next(timeout=LOOK_AGAIN_SECONDS)
            again = await payments.by_id(payment_id)
            assert again is not None, "a payment is never deleted"
            current = again


async def sweep(context: Context) -> None:
    """
    Wake, for as long as the process lives, the watchers of payments whose hint was lost.

    One query for all of them, however many watch. A payment seen for the first time counts as
    changed: its watcher may have read it before the change, and missed the hint.
    """
    versions: dict[str, int] = {}
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            versions = await _sweep(context, versions)
        except Exception:  # the database is away: the next turn finds what this one missed
            log.exception("sweep failed")
            versions = {}


async def _sweep(context: Context, before: dict[str, int]) -> dict[str, int]:
    watched = [one.removeprefix("payment:") for one in context.hub.watched("payment:")]
    now = await payments.versions(watched)
    for payment_id, version in now.items():
        if before.get(payment_id) != version:
            context.hub.wake(f"payment:{payment_id}", f"{payment_id} {version}")
    return now
