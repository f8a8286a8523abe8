"""
Watching a payment: as it is now, then after each change, until it is final.

Two loops of the process serve all watchers: `sweep` finds changes whose hint was lost, `inquire`
inquires at the gateways. A watcher has no task of its own, so a disconnect leaves none behind.
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
LOOK_AGAIN_SECONDS = 60.0  # in case the sweep has stopped too
TURN_SECONDS = 0.5
RECHECK_AFTER = timedelta(seconds=5)  # for a payment that has no inquiry due
MAX_INQUIRIES = 16  # of this process that wait for a gateway's answer

CHANNEL_PREFIX = "payment:"


async def payment(context: Context, payment_id: str) -> AsyncGenerator[Payment]:
    """
    Yield the payment now, and each newer version; complete on a final state. Raises NotFound.

    It subscribes first and reads then, and always reads from the database: a hint that is lost,
    repeated or late does no harm.
    """
    async with context.hub.watch(f"{CHANNEL_PREFIX}{payment_id}") as watcher:
        current = await read(context, payment_id)
        sent = 0
        while True:
            if current.version > sent:
                sent = current.version
                yield current
            if current.is_final:
                return
            await watcher.next(timeout=LOOK_AGAIN_SECONDS)
            current = await payments.get(payment_id)


async def sweep(context: Context) -> None:
    """
    Wake the watchers of payments whose hint was lost, for as long as the process lives.

    It takes one query for all watched payments. A payment that is seen for the first time counts as
    changed: its watcher may have read it before the change, and missed the hint.
    """
    versions: dict[str, int] = {}
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            versions = await _sweep(context, versions)
        except Exception:  # without a database: the next turn finds what this one missed
            log.exception("sweep_failed")
            versions = {}


async def _sweep(context: Context, before: dict[str, int]) -> dict[str, int]:
    """Wake the watchers of each payment whose version differs; return the versions now."""
    watched = _watched_ids(context)
    versions = await payments.versions(watched) if watched else {}
    for payment_id, version in versions.items():
        if before.get(payment_id) != version:
            context.hub.wake(f"{CHANNEL_PREFIX}{payment_id}", f"{payment_id} {version}")
    return versions


async def inquire(context: Context) -> None:
    """
    Inquire about the payments that clients watch, for as long as the process lives.

    It replaces a lost webhook while the customer waits. All watchers in all processes share one
    inquiry at each moment of the table in domain/payment_inquiry.py.
    """
    due: dict[str, datetime] = {}
    running: dict[str, asyncio.Task[None]] = {}
    try:
        while True:
            await asyncio.sleep(TURN_SECONDS)
            try:
                due = await _turn(context, due, running)
            except Exception:  # without a database: the next turn looks at all of them again
                log.exception("watched_inquiry_failed")
                due = {}
    finally:
        for task in running.values():
            task.cancel()
        if running:
            await asyncio.wait(running.values())


async def _turn(
    context: Context, due: dict[str, datetime], running: dict[str, asyncio.Task[None]]
) -> dict[str, datetime]:
    """Begin the inquiries that are due; return when to look at each watched payment again."""
    watched = _watched_ids(context)
    if not watched:
        return {}
    now = await context.clock()
    to_check = [
        payment_id
        for payment_id in watched
        if payment_id not in running and due.get(payment_id, now) <= now
    ]
    for payment in await payments.by_ids(to_check) if to_check else []:
        at = _next_inquiry(context, payment, now)
        due[payment.id] = now + RECHECK_AFTER if at is None else at
        if at == now and len(running) < MAX_INQUIRIES:
            task = running[payment.id] = asyncio.create_task(_inquire(context, payment))
            task.add_done_callback(lambda _, payment_id=payment.id: running.pop(payment_id))
    return {payment_id: due[payment_id] for payment_id in watched if payment_id in due}


def _next_inquiry(context: Context, payment: Payment, now: datetime) -> datetime | None:
    gateway = context.gateways.get(payment.gateway) if payment.gateway else None
    if gateway is None:
        return None
    quota = timedelta(seconds=gateway.inquiry_interval)
    return next_while_watched(payment, quota=quota, now=now)


async def _inquire(context: Context, payment: Payment) -> None:
    try:
        await payment_inquiry.inquire(context, payment, skip_if_inquired=True)
    except Exception:
        log.exception("watched_inquiry_failed", payment=payment.id)


def _watched_ids(context: Context) -> list[str]:
    return [name.removeprefix(CHANNEL_PREFIX) for name in context.hub.watched(CHANNEL_PREFIX)]
