"""Storms: a thousand concurrent reads, and more arrivals than one API process can answer."""

from __future__ import annotations

import itertools
import time

from benchmarks.baselines import limits
from benchmarks.client.http import Response, fetch
from benchmarks.client.loads import (
    OK,
    Arrivals,
    Clients,
    closed,
    error_code,
    graphql_ok,
    open_arrivals,
)
from benchmarks.measures.reads import CUSTOMER_CLIENTS, customer_requests
from benchmarks.row import Goal, Metric, Row, Sample, Target

CONCURRENT_READS = 1000
DIRECT_CONNECTIONS = 100
TIMES_CAPACITY = 3.0
STORM_SECONDS = 8.0
TIMEOUT = 30.0
REFUSED = "refused with Retry-After"


async def _storm(target: Target) -> Sample:
    await target.supply.log_in(CUSTOMER_CLIENTS)
    requests = itertools.islice(customer_requests(target), CONCURRENT_READS)
    before = target.stack.cpu()
    outcome = await closed(
        target.stack.api, iter(list(requests)), graphql_ok, Clients(count=CONCURRENT_READS)
    )
    cpu = target.stack.cpu()["API"] - before["API"]
    values = {
        "last": outcome.seconds,
        "p50": outcome.quantile(0.5),
        "errors": float(outcome.errors.total()),
        "API": 1000 * cpu / CONCURRENT_READS,
    }
    await ensure_api_answers(target)
    return Sample(values, outcome.errors)


async def _direct(target: Target) -> Sample:
    outcome = await limits.direct(target, Clients(count=DIRECT_CONNECTIONS), reads=CONCURRENT_READS)
    errors = float(outcome.errors.total())
    return Sample({"last": outcome.seconds, "errors": errors}, outcome.errors)


async def _overload(target: Target) -> Sample:
    await target.supply.log_in(CUSTOMER_CLIENTS)
    capacity = max(
        [await _rate(target, count) for count in (CUSTOMER_CLIENTS // 4, CUSTOMER_CLIENTS)]
    )
    storm = Arrivals(
        rate=TIMES_CAPACITY * max(capacity, 5.0), seconds=STORM_SECONDS, patience=TIMEOUT
    )
    outcome = await open_arrivals(
        target.stack.api, customer_requests(target), _admitted_or_refused, storm
    )
    afterwards, kind = await _one_read(target)
    refused = outcome.kinds.pop(REFUSED, 0)
    outcome.kinds[f"the read afterwards: {kind}"] += kind != OK
    arrivals = max(outcome.kinds.total() + refused, 1)
    values = {
        "arrivals": storm.rate,
        "p99": outcome.quantile(0.99),
        "refused": 100 * refused / arrivals,
        "errors": 100 * outcome.errors.total() / arrivals,
        "afterwards": afterwards,
    }
    await ensure_api_answers(target)
    return Sample(values, +outcome.errors)


async def _rate(target: Target, count: int) -> float:
    """Return the reads a second of so many clients, each waiting for its answer."""
    probe = Clients(count=count, seconds=2.0)
    requests = customer_requests(target)
    return (await closed(target.stack.api, requests, graphql_ok, probe)).rate


def _admitted_or_refused(response: Response) -> str:
    if response.status == 503 and b"retry-after" in response.head.lower():
        return REFUSED
    return graphql_ok(response)


async def _one_read(target: Target) -> tuple[float, str]:
    """Return the seconds of one read now, and `OK` or its kind of error."""
    begun = time.perf_counter()
    request = next(customer_requests(target))
    response = await fetch(target.stack.api, request, seconds=TIMEOUT)
    kind = graphql_ok(response)
    return time.perf_counter() - begun, kind if kind == OK else error_code(response)


async def ensure_api_answers(target: Target) -> None:
    """Wait until the API is quiet, and restart it if it does not answer."""
    await target.stack.wait_until_quiet(seconds=20)
    if (await _one_read(target))[1] != OK:
        await target.stack.restart_api()


ROWS = (
    Row(
        key="storm",
        group="storms",
        title=f"{CONCURRENT_READS:,} CustomerBills at once",
        metrics=(
            Metric(
                key="last",
                title="Last answer",
                unit="s",
                goal=Goal(
                    words="≤ 6 s, then ≤ 2.5 s; ≤ 1.5 × direct",
                    limits={"direct": 1 / 1.5},
                    pinned_range=(29, 56),
                ),
            ),
            Metric(key="p50", title="Answer, p50", unit="s"),
            Metric(key="errors", title="Errors", unit="", goal=Goal(words="0")),
            Metric(key="API", title="CPU: API", unit="ms"),
        ),
        measure=_storm,
        limits={"direct": _direct},
    ),
    Row(
        key="overload",
        group="storms",
        title=(
            f"Open arrivals at {TIMES_CAPACITY:.0f} × capacity"
            f" for {STORM_SECONDS:.0f} s, CustomerBills"
        ),
        metrics=(
            Metric(key="arrivals", title="Arrivals", unit="/s", compared=False),
            Metric(key="p99", title="Admitted, p99", unit="s", goal=Goal(words="≤ 5 s")),
            Metric(key="refused", title="Refused with Retry-After", unit="%"),
            Metric(
                key="errors", title="Errors and missing answers", unit="%", goal=Goal(words="0")
            ),
            Metric(
                key="afterwards",
                title="One read afterwards",
                unit="s",
                goal=Goal(words="≤ 1 s"),
            ),
        ),
        measure=_overload,
    ),
)
