"""A worker's jobs: batches cost the same whatever their size, and a death harms only the guilty."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from db import engine, jobs
from db.jobs import Job
from db.transaction import transaction
from domain.methods import PaymentMethod
from domain.payments import Payment, PostingStatus
from resolvers import job_batches, job_runner
from resolvers.job_runner import MAX_DEATHS, JobRunner
from resolvers.payment_announcement import announce
from tests.support.backend import Backend
from tests.support.statements import statements

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

STALE = "update pgqueuer set heartbeat = now() - interval '1 minute' where status = 'picked'"


@pytest.fixture(autouse=True)
async def empty_queue(backend: Backend) -> None:
    await engine.execute("delete from pgqueuer")
    await engine.execute("delete from pgqueuer_log")


async def successes(backend: Backend, count: int) -> list[Payment]:
    """Return cash payments whose jobs wait."""
    by = await backend.collector()
    return [await backend.new_payment(by, PaymentMethod.CASH) for _ in range(count)]


async def run_until_idle(runner: JobRunner) -> None:
    """Run what is due, until nothing is."""
    while await waiting():
        await runner.run_due()
        await runner.finish()


async def waiting() -> list[tuple[str, str]]:
    """Return the jobs that are due or held: name and status."""
    rows = await engine.fetch(
        "select entrypoint, status::text from pgqueuer where status <> 'failed' and"
        " (status = 'picked' or execute_after <= now()) order by id"
    )
    return [(row["entrypoint"], row["status"]) for row in rows]


async def log_rows() -> int:
    return await engine.fetchval("select count(*) from pgqueuer_log")


async def enqueue(name: str, *subjects: str) -> None:
    async with transaction():
        await jobs.enqueue([Job(name=name, subject=subject) for subject in subjects])


async def left() -> dict[str, tuple[str, int]]:
    """Return the status and the deaths of each job's subject."""
    rows = await engine.fetch("select payload, status::text, deaths from pgqueuer")
    return {jobs.subject(row["payload"]): (row["status"], row["deaths"]) for row in rows}


@contextmanager
def handler(name: str, run: Callable[[str], Any]) -> Iterator[None]:
    """Let *run* be the handler of single jobs of this name."""

    async def handle(_: object, subject: str) -> Any:
        result = run(subject)
        return await result if asyncio.iscoroutine(result) else result

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(job_runner.HANDLERS, name, handle)
        yield


# ── batches ──────────────────────────────────────────────────────────────────────────────────────


async def test_the_jobs_of_many_payments_take_as_many_statements_as_those_of_a_few(
    backend: Backend,
) -> None:
    counts: list[int] = []
    for count in (3, 9):
        paid = await successes(backend, count)
        with statements() as sent:
            await run_until_idle(JobRunner(backend.context))
        counts.append(len([text for text in sent.seen if "'failed' and" not in text]))
        stored = [await backend.reload(payment) for payment in paid]
        assert {payment.posting_status for payment in stored} == {PostingStatus.DONE}
        assert [payment.version for payment in stored] == [each.version + 1 for each in paid]
        truth = backend.sandbox.truth
        for system, key in (("records", "times"), ("debts", "times")):
            times = [row[key] for row in truth[system] if row["transaction_id"] in ids(paid)]
            assert times == [1] * count
        messages = await engine.fetch(
            "select status, attempts from notification where payment = any($1)", ids(paid)
        )
        wanted = [payment for payment in paid if payment.notify.phone is not None]
        assert [tuple(row) for row in messages] == [("SENT", 1)] * len(wanted)
    assert counts[0] == counts[1]
    assert counts[1] <= 30, "of 27 jobs"
    assert await log_rows() == 0


def ids(paid: list[Payment]) -> list[str]:
    return [payment.id for payment in paid]


async def test_a_failure_is_one_log_row_and_is_tried_again_later(backend: Backend) -> None:
    (paid,) = await successes(backend, 1)
    await engine.execute("delete from pgqueuer where entrypoint <> 'record_payment'")
    with backend.sandbox.broken("revenue", "500"):
        await run_until_idle(JobRunner(backend.context))
    (row,) = await engine.fetch("select status::text, attempts from pgqueuer")
    assert tuple(row) == ("queued", 1)
    assert await log_rows() == 1
    assert (await backend.reload(paid)).posting_status is PostingStatus.PENDING
    await engine.execute("update pgqueuer set execute_after = now()")
    await run_until_idle(JobRunner(backend.context))
    assert (await backend.reload(paid)).posting_status is PostingStatus.DONE
    assert await log_rows() == 1


async def test_a_batch_holds_one_job_of_a_payment(backend: Backend) -> None:
    (paid,) = await successes(backend, 1)
    await enqueue("record_payment", paid.id, paid.id)
    batches: list[list[str]] = []

    async def record(context: Any, subjects: Any) -> Any:
        batches.append(list(subjects))
        return await job_batches.record_payments(context, subjects)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(job_runner.BATCHES, "record_payment", record)
        await run_until_idle(JobRunner(backend.context))
    assert batches == [[paid.id]] * 3
    assert len(backend.sandbox.requests("revenue")) >= 1
    assert [
        row["times"] for row in backend.sandbox.truth["records"] if row["transaction_id"] == paid.id
    ] == [1]


async def test_a_refused_record_of_a_batch_harms_no_other(backend: Backend) -> None:
    refused, fine = await successes(backend, 2)
    assert refused.completed_at is not None
    await backend.context.revenue.record(
        transaction_id="TXN_OF_ANOTHER_SYSTEM",
        contract_number=refused.contract_number,
        method=refused.method,
        paid_at=refused.completed_at,
        items=refused.items,
        staff_id=refused.staff_id,
    )
    await run_until_idle(JobRunner(backend.context))
    assert (await backend.reload(refused)).posting_status is PostingStatus.FAILED
    assert (await backend.reload(fine)).posting_status is PostingStatus.DONE
    assert await backend.cases(refused) == ["RECORD_REFUSED"]
    assert await backend.cases(fine) == []


async def test_a_batch_never_waits_for_a_payment_that_another_transaction_holds(
    backend: Backend,
) -> None:
    held, free = await successes(backend, 2)
    other = await engine.own_connection()
    lock = other.transaction()
    await lock.start()
    await other.execute("select 1 from payment where id = $1 for update", held.id)
    running = asyncio.create_task(run_until_idle(JobRunner(backend.context)))
    while (await backend.reload(free)).posting_status is not PostingStatus.DONE:
        assert not running.done()
        await asyncio.sleep(0.02)
    assert (await backend.reload(held)).posting_status is PostingStatus.PENDING
    await lock.rollback()
    await running
    await other.close()
    assert (await backend.reload(held)).posting_status is PostingStatus.DONE
    assert await log_rows() == 0


async def test_a_batch_that_fails_runs_job_by_job(backend: Backend) -> None:
    paid = await successes(backend, 2)

    async def fail(*_: object) -> Any:
        raise ZeroDivisionError

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(job_runner.BATCHES, "record_payment", fail)
        await run_until_idle(JobRunner(backend.context))
    for payment in paid:
        assert (await backend.reload(payment)).posting_status is PostingStatus.DONE


@pytest.mark.parametrize("fault", ["refuse", "reset"])
async def test_a_message_of_a_batch_that_its_channel_does_not_take_goes_its_own_way(
    backend: Backend, fault: str
) -> None:
    paid = [each for each in await successes(backend, 4) if each.notify.hifpt]
    await engine.execute("delete from pgqueuer where entrypoint <> 'notify_customer'")
    assert paid
    with backend.sandbox.broken("hifpt", fault):
        await run_until_idle(JobRunner(backend.context))
    await engine.execute("update pgqueuer set execute_after = now()")
    await run_until_idle(JobRunner(backend.context))
    rows = await engine.fetch(
        "select channel, status, attempts from notification where payment = any($1)", ids(paid)
    )
    channel = "SMS" if fault == "refuse" else "HIFPT"
    assert [tuple(row) for row in rows] == [(channel, "SENT", 2)] * len(paid)


# ── waking and stopping ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("hinted", [True, False], ids=["by a hint", "by the poll"])
async def test_a_new_job_wakes_the_worker(
    backend: Backend, hinted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if hinted:
        monkeypatch.setattr(job_runner, "POLL_SECONDS", 600)
    ran = asyncio.Event()
    runner = JobRunner(backend.context)
    (paid,) = await successes(backend, 1)
    await engine.execute("delete from pgqueuer")
    with handler("inquire", lambda _: ran.set()):
        running = asyncio.create_task(runner.run())
        while not backend.context.hub.watched("payments"):
            await asyncio.sleep(0.01)
        await enqueue("inquire", paid.id)
        if hinted:
            await announce(backend.context, paid)
        async with asyncio.timeout(20):
            await ran.wait()
        runner.stop.set()
        await running
    assert await left() == {}


async def test_a_worker_that_stops_finishes_what_runs_and_leaves_the_rest(
    backend: Backend,
) -> None:
    started, end = asyncio.Event(), asyncio.Event()

    async def run(_: str) -> None:
        started.set()
        await end.wait()

    runner = JobRunner(backend.context)
    with handler("inquire", run):
        await enqueue("inquire", "A")
        running = asyncio.create_task(runner.run())
        await started.wait()
        runner.stop.set()
        await asyncio.sleep(0)
        await enqueue("inquire", "B")
        end.set()
        await running
    assert await left() == {"B": ("queued", 0)}


# ── dead workers ─────────────────────────────────────────────────────────────────────────────────


class Killed(BaseException):
    """Stands for the death of a worker."""


async def test_what_a_dead_worker_held_runs_alone(backend: Backend) -> None:
    await enqueue("inquire", *"ABCD")
    await jobs.claim(JobRunner(backend.context).id, {"inquire": 9})
    await engine.execute(STALE)
    await enqueue("follow_up", *"EFGH")
    running: set[str] = set()
    side_by_side = asyncio.Barrier(4)

    async def run_abandoned(subject: str) -> None:
        running.add(subject)
        await engine.fetchval("select 1")  # others would run meanwhile
        assert running == {subject}
        running.discard(subject)

    async def run_new(subject: str) -> None:
        running.add(subject)
        await side_by_side.wait()
        running.discard(subject)

    with handler("inquire", run_abandoned), handler("follow_up", run_new):
        async with asyncio.timeout(20):
            await run_until_idle(JobRunner(backend.context))
    assert await left() == {}, "a handler that failed would have left its job"


async def test_only_the_job_that_kills_its_worker_becomes_a_dead_letter(
    backend: Backend,
) -> None:
    await enqueue("inquire", "A", "guilty", "B")
    await jobs.claim(JobRunner(backend.context).id, {"inquire": 9})
    runs: list[str] = []

    async def run(subject: str) -> None:
        runs.append(subject)
        if subject == "guilty":
            raise Killed

    with handler("inquire", run):
        for _ in range(8):
            await engine.execute(STALE)
            worker = JobRunner(backend.context)
            await worker.run_due()
            await worker.finish()
    assert sorted(runs) == ["A", "B"] + ["guilty"] * MAX_DEATHS
    assert await left() == {"guilty": ("failed", 0)}
    assert await log_rows() == 1
