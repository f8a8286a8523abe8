"""The queue: rows that workers claim, hold and remove, without a NOTIFY in any transaction."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import uuid4

import asyncpg
import pytest

from db import jobs
from db.jobs import Job, Result
from db.transaction import transaction

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

MANY = {"follow_up": 100, "refund": 100}


@pytest.fixture(autouse=True)
async def queue(owner: asyncpg.Connection) -> None:
    """An empty queue and an empty log."""
    await owner.execute("delete from pgqueuer; delete from pgqueuer_log")


async def enqueue(*subjects: str, name: str = "follow_up", after: int = 0) -> None:
    async with transaction():
        await jobs.enqueue(
            [Job(name=name, subject=each, after=timedelta(seconds=after)) for each in subjects]
        )


async def abandon(owner: asyncpg.Connection) -> None:
    """Let each claimed job be one whose worker died a minute ago."""
    await owner.execute(
        "update pgqueuer set heartbeat = now() - interval '1 minute' where status = 'picked'"
    )


async def logged(owner: asyncpg.Connection) -> list[tuple[str, str | None]]:
    """Return the rows of the log: the status and the reason of each."""
    rows = await owner.fetch(
        "select status::text, traceback ->> 'reason' as reason from pgqueuer_log order by id"
    )
    return [(row["status"], row["reason"]) for row in rows]


# ── no NOTIFY ────────────────────────────────────────────────────────────────────────────────────


async def test_no_trigger_of_the_database_notifies(owner: asyncpg.Connection) -> None:
    rows = await owner.fetch(
        "select tgrelid::regclass, tgname from pg_trigger join pg_proc on pg_proc.oid = tgfoid"
        " where not tgisinternal and prosrc ilike '%notify%'"
    )
    assert rows == []


async def test_a_job_is_enqueued_claimed_and_finished_without_a_notification_or_a_log_row(
    owner: asyncpg.Connection,
) -> None:
    heard: list[object] = []
    await owner.add_listener("ch_pgqueuer", lambda *given: heard.append(given))
    await owner.execute("notify ch_pgqueuer, 'the listener hears'")
    worker = uuid4()
    await enqueue("A", "B", "C")
    claimed = await jobs.claim(worker, MANY)
    await jobs.finish(worker, [Result(job=job) for job in claimed])
    await owner.execute("select 1")
    assert [given[3] for given in heard] == ["the listener hears"]
    assert await owner.fetchval("select count(*) from pgqueuer") == 0
    assert await logged(owner) == []


# ── claiming ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_claim_takes_what_is_due_within_the_room_of_each_name() -> None:
    await enqueue("A", "B", "C")
    await enqueue("D", "E", name="refund")
    await enqueue("later", after=60)
    claimed = await jobs.claim(uuid4(), {"follow_up": 2, "refund": 9})
    assert [(job.name, job.subject) for job in claimed] == [
        ("follow_up", "A"),
        ("follow_up", "B"),
        ("refund", "D"),
        ("refund", "E"),
    ]
    (last,) = await jobs.claim(uuid4(), MANY)
    assert (last.subject, last.attempts, last.deaths) == ("C", 0, 0)
    assert await jobs.claim(uuid4(), MANY) == []


async def test_two_workers_never_claim_the_same_job() -> None:
    await enqueue(*map(str, range(40)))
    shares = await asyncio.gather(*(jobs.claim(uuid4(), {"follow_up": 9}) for _ in range(6)))
    subjects = [job.subject for share in shares for job in share]
    assert len(subjects) == len(set(subjects))
    assert len(subjects) + len(await jobs.claim(uuid4(), MANY)) == 40


async def test_a_job_that_waits_runs_again_later_and_only_a_failure_is_logged(
    owner: asyncpg.Connection,
) -> None:
    worker = uuid4()
    await enqueue("waits", "fails", "dead", "done")
    ends = {
        "waits": {"again_after": timedelta(0)},
        "fails": {"again_after": timedelta(hours=1), "reason": "silence\0"},
        "dead": {"is_dead": True, "reason": "too often"},
        "done": {},
    }
    claimed = await jobs.claim(worker, MANY)
    await jobs.finish(worker, [Result(job=job, **ends[job.subject]) for job in claimed])
    (again,) = await jobs.claim(worker, MANY)
    assert (again.subject, again.attempts) == ("waits", 1)
    rows = await owner.fetch("select status::text, payload from pgqueuer order by id")
    assert [(jobs.subject(row["payload"]), row["status"]) for row in rows] == [
        ("waits", "picked"),
        ("fails", "queued"),
        ("dead", "failed"),
    ]
    assert sorted(await logged(owner)) == [("exception", "silence"), ("failed", "too often")]


async def test_a_job_that_was_given_back_can_be_claimed_at_once() -> None:
    worker = uuid4()
    await enqueue("A")
    claimed = await jobs.claim(worker, MANY)
    await jobs.give_back(worker, claimed)
    (again,) = await jobs.claim(uuid4(), MANY)
    assert (again.id, again.attempts) == (claimed[0].id, 0)


# ── dead workers ─────────────────────────────────────────────────────────────────────────────────


async def test_only_what_a_dead_worker_held_is_taken_over_one_at_a_time(
    owner: asyncpg.Connection,
) -> None:
    dead, alive, heir = uuid4(), uuid4(), uuid4()
    await enqueue("A", "B")
    await jobs.claim(dead, MANY)
    await abandon(owner)
    await enqueue("C")
    await jobs.claim(alive, MANY)
    for subject in ("A", "B"):
        assert await jobs.is_any_abandoned()
        job = await jobs.take_over(heir)
        assert job is not None
        assert (job.subject, job.deaths) == (subject, 0)
    assert not await jobs.is_any_abandoned()
    assert await jobs.take_over(heir) is None


async def test_a_heartbeat_holds_the_jobs_of_its_worker(owner: asyncpg.Connection) -> None:
    worker = uuid4()
    await enqueue("A")
    claimed = await jobs.claim(worker, MANY)
    await abandon(owner)
    await jobs.keep_alive(worker, claimed)
    assert await jobs.take_over(uuid4()) is None


async def test_only_a_job_whose_worker_died_running_it_alone_counts_the_death(
    owner: asyncpg.Connection,
) -> None:
    await enqueue("guilty", "innocent")
    await jobs.claim(uuid4(), MANY)
    await abandon(owner)
    for deaths in range(3):
        heir = uuid4()
        job = await jobs.take_over(heir)
        if job is not None and job.subject == "innocent":  # least deaths first
            await jobs.finish(heir, [Result(job=job, again_after=timedelta(hours=1))])
            job = await jobs.take_over(heir)
        assert job is not None
        assert (job.subject, job.deaths) == ("guilty", deaths)
        await abandon(owner)
    rows = await owner.fetch("select payload, deaths from pgqueuer")
    assert {jobs.subject(row["payload"]): row["deaths"] for row in rows} == {
        "guilty": 3,
        "innocent": 0,
    }


async def test_a_late_result_of_a_worker_that_counted_as_dead_changes_nothing(
    owner: asyncpg.Connection,
) -> None:
    late, heir = uuid4(), uuid4()
    await enqueue("A", "B")
    claimed = await jobs.claim(late, MANY)
    await abandon(owner)
    assert await jobs.take_over(heir) is not None
    assert await jobs.take_over(heir) is not None
    await jobs.finish(
        late, [Result(job=claimed[0]), Result(job=claimed[1], again_after=timedelta(0))]
    )
    holders = await owner.fetch("select queue_manager_id from pgqueuer where status = 'picked'")
    assert [row[0] for row in holders] == [heir, heir]
