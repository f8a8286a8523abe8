"""QR payments: creation, the customer's payment, the webhook, and the jobs."""

from __future__ import annotations

import asyncio
import time

from benchmarks.client.http import Connection, post
from benchmarks.client.loads import OK, Outcome, connections, error_code, graphql_ok
from benchmarks.engine import connected
from benchmarks.measures.cash import CASH_CLIENTS, LOAD_FACTOR, stock_up
from benchmarks.row import Goal, Metric, Row, Sample, Target, cpu_metrics, cpu_values


async def _whole_qr(target: Target) -> Sample:
    stack, supply = target.stack, target.supply
    seconds = LOAD_FACTOR * target.options.seconds
    await stock_up(target, CASH_CLIENTS)
    outcome, paid = Outcome(), list[str]()
    requests = supply.payments("VNPAY_QR")
    begun, before, client = time.perf_counter(), stack.cpu(), time.process_time()

    async def customers(api: Connection, sandbox: Connection) -> None:
        while time.perf_counter() - begun < seconds and (request := next(requests, None)):
            at = time.perf_counter()
            response = await api.request(request)
            kind, latency = graphql_ok(response), time.perf_counter() - at
            outcome.note(kind, latency)
            if kind != OK:
                continue
            payment = response.json()["data"]["processPayment"]["payment"]
            action = {"qr": payment["qr"]["payload"]}
            answer = await sandbox.request(post("/_sandbox/pay", action))
            if answer.status == 200:
                paid.append(payment["id"])
            else:
                outcome.kinds[f"paying at the sandbox: {error_code(answer)}"] += 1

    async with (
        connections(stack.api, CASH_CLIENTS) as to_api,
        connections(stack.sandbox, CASH_CLIENTS) as to_sandbox,
    ):
        await asyncio.gather(*map(customers, to_api, to_sandbox))
    succeeded = await _successes(target, paid)
    drained = await stack.drain()
    took = time.perf_counter() - begun
    outcome.client_cpu = time.process_time() - client
    if succeeded < len(paid):
        outcome.kinds["paid, and not SUCCESS in time"] += len(paid) - succeeded
    if not drained:
        outcome.kinds["jobs that did not end in time"] += 1
    values = cpu_values(before, stack.cpu(), outcome) | {
        "whole": succeeded / took,
        "create p99": 1000 * outcome.quantile(0.99),
    }
    return Sample(values, outcome.errors)


async def _successes(target: Target, payments: list[str], *, patience: float = 60.0) -> int:
    """Wait until all *payments* are SUCCESS or *patience* seconds pass; return how many are."""
    statement = "select count(*) from payment where id = any($1::text[]) and status = 'SUCCESS'"
    deadline = time.monotonic() + patience
    async with connected(target.stack.engine.database_url) as connection:
        while True:
            found = await connection.fetchval(statement, payments)
            if found == len(payments) or time.monotonic() > deadline:
                return found
            await asyncio.sleep(0.05)


ROWS = (
    Row(
        key="qr",
        group="qr",
        title=f"Whole QR payments, {CASH_CLIENTS} clients: create, webhook, SUCCESS, jobs",
        metrics=(
            Metric(
                key="whole",
                title="Whole payments",
                unit="/s",
                more_is_better=True,
                goal=Goal(words="≥ 3 ×, then ≥ 8 ×", first_half=3, second_half=8),
            ),
            Metric(
                key="create p99",
                title="Create, p99",
                unit="ms",
                goal=Goal(words="then ≤ 300 ms"),
            ),
            *cpu_metrics(),
        ),
        measure=_whole_qr,
        worker=True,
    ),
)
