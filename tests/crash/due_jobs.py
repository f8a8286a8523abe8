"""
Runs the worker's due jobs until none is due, with a clock that moves instead of waiting.

The handlers, the queue's rows and the retry of webhooks each minute are the real ones. Where
nothing is due, the clock moves to the next due time.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from db import engine, jobs
from resolvers import webhooks
from resolvers.context import Context
from resolvers.jobs import HANDLERS
from tests.support.clocks import SetClock

CONCURRENT_JOBS = 8
MAX_TRIES = 8  # of a job that fails each time; no outer system fails, so no job should
MAX_AHEAD = timedelta(days=10)
MINUTE = timedelta(minutes=1)


class Clock(SetClock):
    def __init__(self, at: datetime) -> None:
        super().__init__(self._now)
        self.at = at

    async def _now(self) -> datetime:
        return self.at


@dataclass(slots=True)
class WaitingJob:
    name: str
    subject: str
    due: datetime
    tries: int = 0


@dataclass(slots=True)
class WorkerRun:
    """The number of jobs that ran, and those that failed MAX_TRIES times."""

    ran: int = 0
    failed: list[str] = field(default_factory=list)


async def run_due_jobs(
    context: Context, *, only: str | None = None, ahead: timedelta = MAX_AHEAD
) -> WorkerRun:
    """Run what is due now or within *ahead*; with *only*, the jobs of that payment alone."""
    start = await context.clock()
    clock = Clock(start)
    context = replace(context, clock=clock)
    run = WorkerRun()
    waiting: dict[int, WaitingJob] = {}
    minute = start
    while True:
        await _fetch(waiting, start, only)
        if clock.at >= minute and only is None:
            await webhooks.retry(context)
            minute = clock.at + MINUTE
            await _fetch(waiting, start, only)
        due = [number for number, job in waiting.items() if job.due <= clock.at]
        if not due:
            following = min((job.due for job in waiting.values()), default=None)
            if only is None and await _events_are_open():
                following = min(minute, following or minute)
            if following is None or following > start + ahead:
                return run
            clock.at = max(clock.at, following)
            continue
        for batch in _batches(due):
            await asyncio.gather(*(_run(context, clock, number, waiting, run) for number in batch))


async def _run(
    context: Context, clock: Clock, number: int, waiting: dict[int, WaitingJob], run: WorkerRun
) -> None:
    job = waiting[number]
    run.ran += 1
    try:
        again = await HANDLERS[job.name](context, job.subject)
    except Exception as error:
        job.tries += 1
        again = timedelta(seconds=2**job.tries)
        if job.tries == MAX_TRIES:
            run.failed.append(f"{job.name} of {job.subject}: {type(error).__name__} {error}")
            again = None
    if again is None:
        await engine.execute("delete from pgqueuer where id = $1", number)
        del waiting[number]
    else:
        job.due = clock.at + again


async def _fetch(waiting: dict[int, WaitingJob], start: datetime, only: str | None) -> None:
    """Fetch new jobs; none counts as due before *start*."""
    known = max(waiting, default=0)
    rows: Any = await engine.fetch(
        "select id, entrypoint, payload, greatest(execute_after, $1) as due from pgqueuer"
        " where not id = any($2)",
        start,
        list(waiting) or [known],
    )
    for row in rows:
        subject = jobs.subject(row["payload"])
        if only in (None, subject):
            waiting[row["id"]] = WaitingJob(row["entrypoint"], subject, row["due"])


async def _events_are_open() -> bool:
    return await engine.fetchval(
        "select exists (select from webhook_event where outcome in ('RECEIVED', 'UNMATCHED'))"
    )


def _batches(numbers: list[int]) -> list[list[int]]:
    return [numbers[at : at + CONCURRENT_JOBS] for at in range(0, len(numbers), CONCURRENT_JOBS)]
