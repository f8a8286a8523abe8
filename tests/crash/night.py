"""
The worker that starts over after a crash, with a clock that it moves: due jobs are run, until none is.

The handlers, the queue's rows and the webhooks' minute are the real ones. Only waiting is left out:
where nothing is due, the clock goes on to what is due next.
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

AT_ONCE = 8
MOST_TRIES = 8  # of one job that fails each time: nothing outside is broken, so none should
LONGEST = timedelta(days=10)
MINUTE = timedelta(minutes=1)


@dataclass(slots=True)
class Clock:
    at: datetime

    async def __call__(self) -> datetime:
        return self.at


@dataclass(slots=True)
class Waiting:
    name: str
    subject: str
    due: datetime
    tries: int = 0


@dataclass(slots=True)
class Night:
    """How much was done, and which jobs never ended."""

    ran: int = 0
    failed: list[str] = field(default_factory=list)


async def pass_(context: Context, *, only: str | None = None, ahead: timedelta = LONGEST) -> Night:
    """Run what is due, and what becomes due within *ahead*; *only* what one payment needs, if given."""
    start = await context.clock()
    clock = Clock(start)
    context = replace(context, clock=clock)
    night = Night()
    waiting: dict[int, Waiting] = {}
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
            if only is None and await _events_wait():
                following = min(minute, following or minute)
            if following is None or following > start + ahead:
                return night
            clock.at = max(clock.at, following)
            continue
        for several in _slices(due):
            await asyncio.gather(
                *(_run(context, clock, number, waiting, night) for number in several)
            )


async def _run(
    context: Context, clock: Clock, number: int, waiting: dict[int, Waiting], night: Night
) -> None:
    job = waiting[number]
    night.ran += 1
    try:
        again = await HANDLERS[job.name](context, job.subject)
    except Exception as fault:
        job.tries += 1
        again = timedelta(seconds=2**job.tries)
        if job.tries == MOST_TRIES:
            night.failed.append(f"{job.name} of {job.subject}: {type(fault).__name__} {fault}")
            again = None
    if again is None:
        await engine.execute("delete from pgqueuer where id = $1", number)
        del waiting[number]
    else:
        job.due = clock.at + again


async def _fetch(waiting: dict[int, Waiting], start: datetime, only: str | None) -> None:
    """Learn of new jobs. Their delay is counted by the database's clock, which stands still beside ours."""
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
            waiting[row["id"]] = Waiting(row["entrypoint"], subject, row["due"])


async def _events_wait() -> bool:
    return await engine.fetchval(
        "select exists (select from webhook_event where outcome in ('RECEIVED', 'UNMATCHED'))"
    )


def _slices(numbers: list[int]) -> list[list[int]]:
    return [numbers[at : at + AT_ONCE] for at in range(0, len(numbers), AT_ONCE)]
