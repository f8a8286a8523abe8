"""Cash payments: throughput, latency, CPU, database round trips and upstream calls."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass

import asyncpg

from benchmarks.client.http import Response
from benchmarks.client.loads import (
    OK,
    Clients,
    Outcome,
    closed,
    error_code,
)
from benchmarks.engine import connected
from benchmarks.row import (
    Goal,
    Metric,
    NotMeasured,
    Row,
    Sample,
    Target,
    cpu_metrics,
    cpu_values,
)
from benchmarks.supply import once

CASH_CLIENTS, MANY_CLIENTS = 64, 128
CLIENT_COUNTS = (16, CASH_CLIENTS)
LONE_PAYMENTS, COUNTED_PAYMENTS = 15, 192
LOAD_FACTOR = 2.0
"""A load of payments lasts longer than one of reads, because its jobs take time."""
_SAMPLE_EVERY = 0.05  # seconds
# Expressions of triggers are listed too; they are no round trips, and begin with no command.
_CALLS = r"""
select coalesce(sum(calls), 0)::bigint
  from pg_stat_statements s join pg_database d on d.oid = s.dbid
 where d.datname = current_database() and query not like '%pg_stat_statements%'
   and query ~* ('^\s*(/\*|--|\(|with|select|insert|update|delete|merge|begin|start|commit'
                 '|rollback|set|listen|lock|do)')
"""


@dataclass(slots=True)
class LockWaits:
    """The backends that waited for an object lock, which is NOTIFY's, over all samples."""

    waiting: int = 0
    samples: int = 0

    @property
    def mean(self) -> float:
        return self.waiting / max(self.samples, 1)


@contextlib.asynccontextmanager
async def lock_waits(url: str) -> AsyncGenerator[LockWaits]:
    """Sample the waits of the database's backends while the block runs."""
    found = LockWaits()
    statement = (
        "select count(*) from pg_stat_activity where datname = current_database()"
        " and wait_event_type = 'Lock' and wait_event = 'object'"
    )

    async def sample() -> None:
        async with connected(url) as connection:
            while True:
                found.waiting += await connection.fetchval(statement)
                found.samples += 1
                await asyncio.sleep(_SAMPLE_EVERY)

    sampling = asyncio.create_task(sample())
    try:
        yield found
    finally:
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling


def is_paid(response: Response) -> str:
    if response.status == 200 and b'"status":"SUCCESS"' in response.body:
        return OK
    return error_code(response)


async def stock_up(target: Target, clients: int) -> None:
    """Log in collectors and fetch twice the expected number of bills."""
    expected = target.rates.get("payments", 60.0) * LOAD_FACTOR * target.options.seconds
    await target.supply.log_in(clients)
    await target.supply.stock(int(2 * expected) + clients)


async def pay_cash(target: Target, clients: int) -> Outcome:
    """Pay the bills in stock in cash, with so many clients."""
    requests = target.supply.payments("CASH")
    load = Clients(count=clients, seconds=LOAD_FACTOR * target.options.seconds)
    outcome = await closed(target.stack.api, requests, is_paid, load)
    target.rates["payments"] = max(outcome.rate, 10.0)
    return outcome


async def _whole_cash(target: Target) -> Sample:
    """Measure with the number of clients that was best in the stack's first round."""
    if target.best_clients is not None:
        return await _whole_cash_by(target, target.best_clients)
    samples = {count: await _whole_cash_by(target, count) for count in CLIENT_COUNTS}
    best = max(samples, key=lambda count: samples[count].values["whole"])
    target.best_clients = best
    return samples[best]


async def _whole_cash_by(target: Target, clients: int) -> Sample:
    stack = target.stack
    await stock_up(target, clients)
    async with lock_waits(stack.engine.database_url) as waits:
        begun, before = time.perf_counter(), stack.cpu()
        outcome = await pay_cash(target, clients)
        drained = await stack.drain()
        seconds = time.perf_counter() - begun
        values = cpu_values(before, stack.cpu(), outcome)
    values |= {
        "whole": outcome.done / seconds,
        "clients": float(clients),
        "p50": 1000 * outcome.quantile(0.5),
        "waits": waits.mean,
    }
    if not drained:
        outcome.kinds["jobs that did not end in time"] += 1
    return Sample(values, outcome.errors)


async def _accepted_cash(target: Target) -> Sample:
    await stock_up(target, MANY_CLIENTS)
    outcome = await pay_cash(target, MANY_CLIENTS)
    await target.stack.drain()
    values = {
        "accepted": outcome.rate,
        "p50": 1000 * outcome.quantile(0.5),
        "p99": 1000 * outcome.quantile(0.99),
    }
    return Sample(values, outcome.errors)


async def _lone_cash(target: Target) -> Sample:
    await target.supply.log_in(1)
    await target.supply.stock(LONE_PAYMENTS)
    outcome = Outcome()
    for request in target.supply.payments("CASH"):
        begun = time.perf_counter()
        response = await once(target.stack.api, request)
        outcome.note(is_paid(response), time.perf_counter() - begun)
        await target.stack.drain()
        if sum(outcome.kinds.values()) == LONE_PAYMENTS:
            break
    return Sample({"p50": 1000 * outcome.quantile(0.5)}, outcome.errors)


async def _round_trips(target: Target) -> Sample:
    return await count_round_trips(target, clients=CASH_CLIENTS, payments=COUNTED_PAYMENTS)


async def count_round_trips(target: Target, *, clients: int, payments: int) -> Sample:
    """Return the statements and upstream calls per cash payment. Raises NotMeasured."""
    supply = target.supply
    await supply.log_in(clients)
    await supply.stock(clients + payments)
    requests = supply.payments("CASH", collectors=clients)

    async def pay(count: int) -> Outcome:
        part = itertools.islice(requests, count)
        return await closed(target.stack.api, part, is_paid, Clients(count=clients))

    # A collector's first payment in a minute makes more calls than the next ones.
    await pay(clients)
    try:
        async with connected(target.stack.engine.database_url) as connection:
            await connection.execute("create extension if not exists pg_stat_statements")
            await connection.execute("select pg_stat_statements_reset()")
            before = await supply.last_upstream_request()
            outcome = await pay(payments)
            calls = await connection.fetchval(_CALLS)
    except asyncpg.PostgresError as error:
        raise NotMeasured(f"pg_stat_statements cannot be read: {error}") from None
    count = max(outcome.done, 1)
    upstream = await supply.last_upstream_request() - before
    return Sample({"trips": calls / count, "upstream": upstream / count}, outcome.errors)


ROWS = (
    Row(
        key="trips",
        group="cash",
        title=f"Round trips and calls of a cash payment, {CASH_CLIENTS} clients, no worker",
        metrics=(
            Metric(
                key="trips",
                title="SQL round trips, BEGIN and COMMIT counted",
                unit="",
                goal=Goal(words="≤ 10, then ≤ 0.3", pinned_range=(19, 19)),
            ),
            Metric(key="upstream", title="Calls to outer systems", unit=""),
        ),
        measure=_round_trips,
    ),
    Row(
        key="cash",
        group="cash",
        title="Whole cash payments, until all their jobs are done",
        metrics=(
            Metric(
                key="whole",
                title="Whole payments",
                unit="/s",
                more_is_better=True,
                goal=Goal(
                    words="≥ 3 ×, then ≥ 12 ×", first_half=3, second_half=12, pinned_range=(14, 27)
                ),
            ),
            *cpu_metrics(
                Goal(
                    words="≥ 3.5 ×, then ≥ 13 ×",
                    first_half=3.5,
                    second_half=13,
                    pinned_range=(62, 122),
                )
            ),
            Metric(key="p50", title="Answer, p50", unit="ms"),
            Metric(
                key="clients", title="Clients, the count that did best", unit="", compared=False
            ),
            Metric(
                key="waits",
                title="Backends that wait for NOTIFY's lock",
                unit="",
                goal=Goal(words="0"),
            ),
        ),
        measure=_whole_cash,
        worker=True,
    ),
    Row(
        key="accepted",
        group="cash",
        title=f"Accepted cash payments, {MANY_CLIENTS} clients, worker on",
        metrics=(
            Metric(
                key="accepted",
                title="Accepted payments",
                unit="/s",
                more_is_better=True,
                goal=Goal(
                    words="≥ 3 ×, then ≥ 13 ×", first_half=3, second_half=13, pinned_range=(20, 29)
                ),
            ),
            Metric(key="p50", title="Answer, p50", unit="ms"),
            Metric(key="p99", title="Answer, p99", unit="ms", goal=Goal(words="then ≤ 700 ms")),
        ),
        measure=_accepted_cash,
        worker=True,
    ),
    Row(
        key="lone",
        group="cash",
        title="A lone cash payment",
        metrics=(
            Metric(
                key="p50",
                title="Answer, p50",
                unit="ms",
                goal=Goal(
                    words="≤ 0.5 of pinned, then ≤ 0.35",
                    first_half=2,
                    second_half=1 / 0.35,
                    pinned_range=(48, 48),
                ),
            ),
        ),
        measure=_lone_cash,
        worker=True,
    ),
)
