"""
Jobs: rows of the business transaction, claimed by workers, and removed when they are done.

resolvers/jobs.py has their handlers; resolvers/job_runner.py runs and retries them. The table is
pgqueuer's, without its trigger: NOTIFY in a transaction lets only one transaction commit at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import orjson

from db.engine import Row, execute, fetch, fetchrow, fetchval
from db.transaction import connection

STALE_AFTER = timedelta(seconds=30)  # without a heartbeat the worker of a job counts as dead


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A call of the handler *name* in resolvers/jobs.py, delivered at least once."""

    name: str
    subject: str
    after: timedelta = field(default=timedelta(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedJob:
    """
    A job that a worker holds.

    `age` is the time since it was enqueued, `attempts` the number of earlier runs, `deaths` that of
    the workers which died while they ran it alone.
    """

    id: int
    name: str
    subject: str
    age: timedelta
    attempts: int
    deaths: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    How a claimed job's run ended: it is done, runs again after a delay, or is a dead letter.

    `reason` is why it failed; None where it did not.
    """

    job: ClaimedJob
    again_after: timedelta | None = None
    is_dead: bool = False
    reason: str | None = None


def insert(first: int) -> str:
    """Return the statement that adds jobs; the parameters `columns` begin at number *first*."""
    return f"""
        insert into pgqueuer (priority, status, entrypoint, payload, execute_after)
        select 0, 'queued', new.name, new.payload, now() + new.after
          from unnest(${first}::text[], ${first + 1}::bytea[], ${first + 2}::interval[])
               as new (name, payload, after)
        """


def columns(jobs: Sequence[Job]) -> tuple[list[object], ...]:
    """Return the parameters of `insert`."""
    return (
        [job.name for job in jobs],
        [orjson.dumps({"subject": job.subject}) for job in jobs],
        [job.after for job in jobs],
    )


async def enqueue(jobs: Sequence[Job]) -> None:
    """Add the jobs to the current transaction."""
    if jobs:
        await connection().fetch(insert(first=1), *columns(jobs))


def subject(payload: bytes) -> str:
    """Return the subject in the payload of a queued job."""
    return orjson.loads(payload)["subject"]


# ── a worker ─────────────────────────────────────────────────────────────────────────────────────


async def claim(worker: UUID, room: Mapping[str, int]) -> list[ClaimedJob]:
    """Claim the jobs that are due, at most as many of each name as *room* says."""
    rows = await fetch(
        """
        with due as materialized (
            select job.id from unnest($2::text[], $3::int[]) as lane (name, room)
             cross join lateral (
                select id from pgqueuer
                 where status = 'queued' and entrypoint = lane.name and execute_after <= now()
                 order by execute_after limit lane.room for update skip locked) job)
        update pgqueuer set status = 'picked', queue_manager_id = $1, heartbeat = now(),
                            updated = now()
         where id in (select id from due)
        returning id, entrypoint, payload, now() - created as age, attempts, deaths
        """,
        worker,
        list(room),
        list(room.values()),
    )
    return [_claimed(row) for row in sorted(rows, key=lambda row: row["id"])]


async def is_any_abandoned() -> bool:
    """Return whether a worker has died with a job."""
    return await fetchval(
        "select exists (select from pgqueuer"
        " where status = 'picked' and heartbeat < now() - $1::interval)",
        STALE_AFTER,
    )


async def take_over(worker: UUID) -> ClaimedJob | None:
    """
    Claim one job of a dead worker, to run it alone; None where there is none.

    It counts as a death before it runs; `finish` forgets that, and only a death leaves it.
    """
    row = await fetchrow(
        """
        update pgqueuer set queue_manager_id = $1, heartbeat = now(), updated = now(),
                            deaths = deaths + 1
         where id = (
            select id from pgqueuer
             where status = 'picked' and heartbeat < now() - $2::interval
             order by deaths, heartbeat, id limit 1 for update skip locked)
        returning id, entrypoint, payload, now() - created as age, attempts, deaths - 1 as deaths
        """,
        worker,
        STALE_AFTER,
    )
    return None if row is None else _claimed(row)


async def keep_alive(worker: UUID, running: Sequence[ClaimedJob]) -> None:
    """Renew the heartbeat of the jobs that the worker runs."""
    await execute(
        "update pgqueuer set heartbeat = now() where id = any($2) and queue_manager_id = $1",
        worker,
        [job.id for job in running],
    )


async def finish(worker: UUID, results: Sequence[Result]) -> None:
    """
    Write how the jobs of this worker ended, all at once; only a failure is logged in the table.

    A job that another worker has taken over meanwhile is left to it.
    """
    await execute(
        """
        with result as materialized (
            select * from unnest($2::bigint[], $3::text[], $4::interval[], $5::text[])
                       as result (id, status, after, reason)),
        done as (
            delete from pgqueuer job using result
             where job.id = result.id and job.queue_manager_id = $1 and result.status is null),
        waiting as (
            update pgqueuer job
               set status = result.status::pgqueuer_status, execute_after = now() + result.after,
                   attempts = attempts + 1, deaths = 0, queue_manager_id = null, updated = now()
              from result
             where job.id = result.id and job.queue_manager_id = $1 and result.status is not null
            returning job.id, job.entrypoint, job.priority, result.status, result.reason)
        insert into pgqueuer_log (job_id, entrypoint, priority, status, traceback)
        select id, entrypoint, priority,
               (case status when 'queued' then 'exception' else status end)::pgqueuer_status,
               jsonb_build_object('reason', reason)
          from waiting where reason is not null
        """,
        worker,
        [result.job.id for result in results],
        [_status(result) for result in results],
        [result.again_after or timedelta(0) for result in results],
        [_storable(result.reason) for result in results],
    )


async def give_back(worker: UUID, jobs: Sequence[ClaimedJob]) -> None:
    """Let any worker claim the jobs, which have not run."""
    await execute(
        "update pgqueuer set status = 'queued', queue_manager_id = null"
        " where id = any($2) and queue_manager_id = $1",
        worker,
        [job.id for job in jobs],
    )


def _status(result: Result) -> str | None:
    if result.is_dead:
        return "failed"
    return None if result.again_after is None else "queued"


def _storable(reason: str | None) -> str | None:
    """Return the text without U+0000, which a text column cannot hold."""
    return None if reason is None else reason.replace("\0", "")


def _claimed(row: Row) -> ClaimedJob:
    return ClaimedJob(
        id=row["id"],
        name=row["entrypoint"],
        subject=subject(row["payload"]),
        age=row["age"],
        attempts=row["attempts"],
        deaths=row["deaths"],
    )


# ── the table ────────────────────────────────────────────────────────────────────────────────────


async def drop_triggers() -> None:
    """Drop the triggers of the queue's table, as its owner; pgqueuer's upgrade makes one anew."""
    for row in await fetch(
        "select quote_ident(tgname) as name from pg_trigger"
        " where tgrelid = 'pgqueuer'::regclass and not tgisinternal"
    ):
        await execute(f"drop trigger {row['name']} on pgqueuer")
