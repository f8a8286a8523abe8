"""The worker process: it runs and retries jobs and webhooks, checks invariants and seals."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from datetime import timedelta

import structlog
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Schedule
from pgqueuer.queries import Queries
from pgqueuer.sm import SchedulerManager

from db.engine import own_connection
from mobinet import logging as logs
from mobinet.bootstrap import process_context
from mobinet.settings import Settings
from resolvers import invariants, sealing, webhooks
from resolvers.context import Context
from resolvers.job_runner import JobRunner

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SEAL_INTERVAL = timedelta(seconds=3)


async def main(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; running jobs are finished first."""
    logs.configure(settings.env)
    async with process_context(settings) as context:
        connection = await own_connection()
        try:
            await connection.execute("set role mobinet_app")
            schedules = scheduled(context, SchedulerManager(Queries(AsyncpgDriver(connection))))
            runner = JobRunner(context)

            def stop() -> None:
                runner.stop.set()
                schedules.shutdown.set()

            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_seal_until(runner.stop, context))
                tasks.create_task(schedules.run())
                tasks.create_task(runner.run())
        finally:
            await connection.close(timeout=5)


def scheduled(context: Context, schedules: SchedulerManager) -> SchedulerManager:
    """Register the tasks of each minute, which one worker runs for all."""

    @schedules.schedule("retry_webhooks", "* * * * *")
    async def retry_webhooks(_: Schedule) -> None:  # pyright: ignore[reportUnusedFunction]
        await webhooks.retry(context)

    @schedules.schedule("watch_invariants", "* * * * *")
    async def watch_invariants(_: Schedule) -> None:  # pyright: ignore[reportUnusedFunction]
        await invariants.watch(context)

    return schedules


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
