"""The worker: runs jobs, asks gateways, retries webhooks. Run as many as wanted."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from datetime import timedelta

import structlog
from pgqueuer import PgQueuer, RetryRequested
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job, Schedule

from db import jobs
from db.engine import own_connection
from domain.refusals import Refusal
from integrations.http.parsing import Rejected
from mobinet import logging as logs
from mobinet.bootstrap import running
from mobinet.settings import Settings
from resolvers import invariants, sealing, webhooks
from resolvers.context import Context
from resolvers.jobs import HANDLERS, Handler, NotDelivered

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

GIVE_UP = timedelta(days=8)  # a day after the last question of domain/payment_inquiry.py
LONGEST_WAIT = timedelta(minutes=10)
AT_ONCE = 32
SEAL_EVERY = timedelta(seconds=3)


async def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; what is in hand is finished first."""
    logs.configure(settings.env)
    async with running(settings) as context:
        connection = await own_connection()
        try:
            await connection.execute("set role mobinet_app")
            queue = assemble(context, PgQueuer(AsyncpgDriver(connection)))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, queue.shutdown.set)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_seal(context, queue.shutdown))
                await queue.run(dequeue_timeout=timedelta(seconds=5), max_concurrent_tasks=AT_ONCE)
        finally:
            await connection.close(timeout=5)


def assemble(context: Context, queue: PgQueuer) -> PgQueuer:
    """Register every handler of resolvers/jobs.py, and what runs by the clock."""
    for name, handler in HANDLERS.items():
        queue.entrypoint(name, on_failure="hold")(_entry(context, handler))

    @queue.schedule("retry_webhooks", "* * * * *")
    async def retry_webhooks(_: Schedule) -> None:  # pyright: ignore[reportUnusedFunction]
        await webhooks.retry(context)

    @queue.schedule("watch_invariants", "* * * * *")
    async def watch_invariants(_: Schedule) -> None:  # pyright: ignore[reportUnusedFunction]
        await invariants.watch(context)

    return queue


async def _seal(context: Context, stop: asyncio.Event) -> None:
    """Seal what was written, every few seconds until *stop*; what went wrong is tried again."""
    while not stop.is_set():
        try:
            while await sealing.seal(context) == sealing.BATCH:
                pass  # more waits
        except Exception:
            log.exception("sealing failed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SEAL_EVERY.total_seconds())


def _entry(context: Context, handler: Handler):
    async def run(job: Job) -> None:
        assert job.payload is not None
        again: timedelta | None
        subject = jobs.subject(job.payload)
        try:
            again = await handler(context, subject)
        except Exception as fault:
            if await context.clock() - job.created > GIVE_UP:
                log.exception("job given up", job=job.entrypoint, subject=subject)
                raise
            again = min(timedelta(seconds=2 ** min(job.attempts + 1, 12)), LONGEST_WAIT)
            expected = isinstance(fault, Refusal | NotDelivered | Rejected)
            log.warning(
                "job failed",
                job=job.entrypoint,
                subject=subject,
                attempt=job.attempts,
                again=str(again),
                why=str(fault),
                exc_info=not expected,
            )
        if again is not None:
            raise RetryRequested(delay=again)

    return run
