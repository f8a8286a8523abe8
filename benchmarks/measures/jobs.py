"""Jobs: how fast a worker does those that cash payments have left, and what each of them costs."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

from benchmarks.client.loads import Clients, Outcome, closed
from benchmarks.engine import connected, run
from benchmarks.measures.cash import CALLS, CASH_CLIENTS, is_paid
from benchmarks.row import CLIENT, Metric, NotMeasured, Row, Sample, Target, cpu_values
from benchmarks.stack import LOOK

PAYMENTS = 600
JOBS_OF_A_PAYMENT = 3  # Revenue's record, the customer's message, and then Debt's
_CHANNEL = "ch_pgqueuer"
_LOOKS = "select coalesce(sum(calls), 0)::bigint from pg_stat_statements where query like $1"
_PICKED = f"select exists (select from pgqueuer where status = 'picked') as {LOOK}"
_WAITING = """
select count(*) from pgqueuer
 where status in ('queued', 'picked') and entrypoint not like '%follow_up%'
"""
_COMMITS = "select xact_commit from pg_stat_database where datname = current_database()"


async def _jobs(target: Target) -> Sample:
    """Pay without a worker; then let one work until no job is left."""
    stack, url = target.stack, target.stack.engine.database_url
    await _work_off(target)
    heard = 0

    def hear(*_: object) -> None:
        nonlocal heard
        heard += 1

    async with connected(url) as connection:
        await connection.add_listener(_CHANNEL, hear)
        logged = await connection.fetchval("select count(*) from pgqueuer_log")
        outcome = await _pay(target)
        jobs = JOBS_OF_A_PAYMENT * outcome.done
        await connection.execute("create extension if not exists pg_stat_statements")
        await connection.execute("select pg_stat_statements_reset()")
        commits = await connection.fetchval(_COMMITS)
        stack.start_worker_now()
        try:
            await _begun(connection)
            begun, before = time.monotonic(), stack.cpu()
            await stack.drain()
            seconds = time.monotonic() - begun
            values = cpu_values(before, stack.cpu(), Outcome(kinds=outcome.kinds))
        finally:
            await stack.stop_worker()
        looks = await connection.fetchval(_LOOKS, f"%{LOOK}%")
        statements = await connection.fetchval(CALLS) - looks
        rows = await connection.fetchval("select count(*) from pgqueuer_log") - logged
        await connection.fetchval("select 1")  # what was notified meanwhile has arrived with it
    commits = await run(url, _COMMITS) - commits - looks
    values |= {
        "jobs": jobs / seconds,
        "statements": statements / jobs,
        "commits": commits / jobs,
        "log": rows / jobs,
        "notifications": heard / jobs,
    }
    return Sample(values, outcome.errors)


async def _work_off(target: Target) -> None:
    """Leave no job of another row."""
    if await run(target.stack.engine.database_url, _WAITING):
        await target.stack.start_worker()
        await target.stack.drain()
        await target.stack.stop_worker()


async def _pay(target: Target) -> Outcome:
    supply = target.supply
    await supply.log_in(CASH_CLIENTS)
    await supply.stock(PAYMENTS)
    requests = itertools.islice(supply.payments("CASH"), PAYMENTS)
    return await closed(target.stack.api, requests, is_paid, Clients(count=CASH_CLIENTS))


async def _begun(connection: Any) -> None:
    """Wait until the worker has loaded and takes its first jobs. Raises NotMeasured."""
    deadline = time.monotonic() + 60
    while not await connection.fetchval(_PICKED):
        if time.monotonic() > deadline:
            raise NotMeasured("the worker takes no jobs")
        await asyncio.sleep(0.005)


ROWS = (
    Row(
        key="jobs",
        group="jobs",
        title=f"The jobs of {PAYMENTS} cash payments, by one worker that starts after them",
        metrics=(
            Metric(key="jobs", title="Jobs", unit="/s", more_is_better=True),
            Metric(key="statements", title="SQL round trips a job", unit=""),
            Metric(key="commits", title="Commits a job", unit=""),
            Metric(key="log", title="Rows in pgqueuer_log a job", unit=""),
            Metric(key="notifications", title="Notifications a job", unit=""),
            Metric(key="cpu", title="CPU of all parts, a payment", unit="ms"),
            Metric(key="worker", title="CPU: worker", unit="ms"),
            Metric(key="PostgreSQL", title="CPU: PostgreSQL", unit="ms"),
            CLIENT,
        ),
        measure=_jobs,
    ),
)
