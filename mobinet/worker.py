"""The worker process: it runs and retries jobs and webhooks, checks invariants and seals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
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
from mobinet.bootstrap import process_context
from mobinet.settings import Settings
from resolvers import invariants, sealing, webhooks
from resolvers.context import Context
from resolvers.jobs import HANDLERS, Handler, NotDelivered

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

GIVE_UP_AFTER = timedelta(days=8)  # a day after the last inquiry of domain/payment_inquiry.py
MAX_RETRY_DELAY = timedelta(minutes=10)
MAX_CONCURRENT_JOBS = 32
SEAL_INTERVAL = timedelta(seconds=3)


async def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; running jobs are finished first."""
    logs.configure(settings.env)
    async with process_context(settings) as context:
        connection = await own_connection()
        try:
            await connection.execute("set role mobinet_app")
            queue = assemble(context, PgQueuer(AsyncpgDriver(connection)))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, queue.shutdown.set)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_seal_until(queue.shutdown, context))
                await queue.run(
                    dequeue_timeout=timedelta(seconds=5), max_concurrent_tasks=MAX_CONCURRENT_JOBS
                )
        finally:
            await connection.close(timeout=5)


def assemble(context: Context, queue: PgQueuer) -> PgQueuer:
    """Register every handler of resolvers/jobs.py and the scheduled tasks."""
    for name, handler in HANDLERS.items():
        queue.entrypoint(name, on_failure="hold")(_entrypoint(context, handler))

    @queue.schedule("retry_webhooks", "* * * * *")
    async def retry_webhooks(_: Schedule) -> None:  # pyright: ignore[reportUnusedFunction]
        await webhooks.retry(context)

    @queue.schedule("watch_invariants", "* * * * *")
    async def watch_invariants(_: Schedule) -> None:  # pyright: ignore[reportUnusedFunction]
        await invariants.watch(context)

    return queue


async def _seal_until(stop: asyncio.Event, context: Context) -> None:
    """Seal new audit rows every few seconds; a failure is logged and retried."""
    while not stop.is_set():
        try:
            while await sealing.seal(context) == sealing.BATCH:
                pass  # a full batch means that more rows wait
        except Exception:
            log.exception("sealing_failed")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), SEAL_INTERVAL.total_seconds())


def _entrypoint(context: Context, handler: Handler) -> Callable[[Job], Awaitable[None]]:
    """Make pgqueuer's entrypoint of a handler; a failed job is retried until GIVE_UP_AFTER."""

    async def run(job: Job) -> None:
        assert job.payload is not None
        delay: timedelta | None
        subject = jobs.subject(job.payload)
        try:
            delay = await handler(context, subject)
        except Exception as error:
            if await context.clock() - job.created > GIVE_UP_AFTER:
                log.exception("job_given_up", job=job.entrypoint, subject=subject)
                raise
            delay = min(timedelta(seconds=2 ** min(job.attempts + 1, 12)), MAX_RETRY_DELAY)
            expected = isinstance(error, Refusal | NotDelivered | Rejected)
            log.warning(
                "job_failed",
                job=job.entrypoint,
                subject=subject,
                attempt=job.attempts,
                retry_in=str(delay),
                reason=str(error),
                exc_info=not expected,
            )
        if delay is not None:
            raise RetryRequested(delay=delay)

    return run
