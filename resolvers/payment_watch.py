"""
A payment, watched: as it is now, then after each change, until it can change no more.

Beside the watchers, two things run once in a process for all of them: `sweep` finds changes whose hint was
lost, `inquire` asks the gateways about what is watched. A watcher has no task of its own, so none is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from datetime import datetime, timedelta

import structlog

from db import payments
from domain.payment_inquiry import next_while_watched
from domain.payments import Payment
from resolvers import payment_inquiry
from resolvers.context import Context
from resolvers.payments import read

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SWEEP_SECONDS = 5.0
LOOK_AGAIN_SECONDS = 60.0  # should even the sweep have stopped
TURN_SECONDS = 0.5
NOT_NOW = timedelta(
    seconds=5
)  # until a payment that there is nothing to ask about is looked at again
AT_ONCE = 16  # questions of this process that wait for a gateway's answer


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
    watched = _watched(context)
    now = await payments.versions(watched) if watched else {}
    for payment_id, version in now.items():
        if before.get(payment_id) != version:
            context.hub.wake(f"payment:{payment_id}", f"{payment_id} {version}")
    return now


async def inquire(context: Context) -> None:
    """
    Ask the gateways, for as long as the process lives, about the payments that its clients watch.

    A customer who has paid should not wait for a webhook that was lost. However many watch a
    payment, in however many processes, it is asked about once at each moment of the table in
    domain/payment_inquiry.py; nobody watches, nobody asks.
    """
    due: dict[str, datetime] = {}
    asking: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            try:
                due = await _turn(context, due, asking)
            except Exception:  # the database is away: the next turn looks at all of them again
                log.exception("asking failed")
                due = {}
    finally:
        for task in asking.values():
            task.cancel()
        if asking:
            await asyncio.wait(asking.values())


async def _turn(
    context: Context, due: dict[str, datetime], asking: dict[str, asyncio.Task[None]]
) -> dict[str, datetime]:
    """Ask about what is due; return when to look again at each payment that is watched."""
    watched = _watched(context)
    if not watched:
        return {}
    now = await context.clock()
    look = [item for item in watched if item not in asking and due.get(item, now) <= now]
    for payment in await payments.by_ids(look) if look else []:
        gateway = context.gateways.get(payment.gateway) if payment.gateway else None
        quota = timedelta(seconds=gateway.ask_again_after if gateway else 0)
        at = next_while_watched(payment, quota=quota, now=now) if gateway else None
        due[payment.id] = now + NOT_NOW if at is None else at
        if at == now and len(asking) < AT_ONCE:
            task = asking[payment.id] = asyncio.create_task(_ask(context, payment))
            task.add_done_callback(lambda _, item=payment.id: asking.pop(item))
    return {item: due[item] for item in watched if item in due}


async def _ask(context: Context, payment: Payment) -> None:
    try:
        await payment_inquiry.ask(context, payment, first=True)
    except Exception:
        log.exception("asking failed", payment=payment.id)


def _watched(context: Context) -> list[str]:
    return [item.removeprefix("payment:") for item in context.hub.watched("payment:")]
