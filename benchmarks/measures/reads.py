"""Reads: CPU per read, and throughput of one API process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from benchmarks.baselines import limits, node
from benchmarks.client.loads import OK, Clients, closed, graphql_ok
from benchmarks.row import CLIENT, Goal, Metric, NotMeasured, Row, Sample, Target, cpu_values
from benchmarks.supply import once

CLIENTS = 32
CUSTOMER_CLIENTS = 64
CACHED_CONTRACTS = 64
PAGE = 50


def _load(target: Target, count: int = CLIENTS) -> Clients:
    return Clients(count=count, seconds=target.options.seconds)


async def _read(target: Target, requests: Iterator[bytes], clients: Clients) -> Sample:
    before = target.stack.cpu()
    outcome = await closed(target.stack.api, requests, graphql_ok, clients)
    values = cpu_values(before, target.stack.cpu(), outcome)
    return Sample(values | {"rate": outcome.rate}, outcome.errors)


async def _body(target: Target, request: bytes) -> bytes:
    """Return the API's current answer. Raises NotMeasured where it is an error."""
    response = await once(target.stack.api, request)
    if graphql_ok(response) != OK:
        raise NotMeasured(f"the API answers {graphql_ok(response)}")
    return response.body


# ── {__typename} ─────────────────────────────────────────────────────────────────────────────────


async def _typename_request(target: Target) -> bytes:
    await target.supply.log_in(1)
    return target.supply.typename(target.supply.collectors[0])


async def _typename(target: Target) -> Sample:
    request = await _typename_request(target)
    return await _read(target, itertools.repeat(request), _load(target))


async def _bare_typename(target: Target) -> Sample:
    request = await _typename_request(target)
    return await limits.bare(target, request, await _body(target, request), _load(target))


# ── a payment by id ──────────────────────────────────────────────────────────────────────────────


async def _payment_ids(target: Target) -> list[str]:
    """Return the ids of a page of payments, newest first."""
    variables = {"first": PAGE}
    page = await target.supply.send("Transactions", variables, target.supply.office)
    return [edge["node"]["id"] for edge in page["edges"]]


async def _payment_requests(target: Target) -> list[bytes]:
    await target.supply.log_in(1)
    supply = target.supply
    ids = await _payment_ids(target)
    if not ids:
        raise NotMeasured("the database holds no payment")
    return [supply.request("Payment", {"id": each}, supply.office) for each in ids]


async def _payment(target: Target) -> Sample:
    requests = await _payment_requests(target)
    return await _read(target, itertools.cycle(requests), _load(target))


async def _node_payment(target: Target) -> Sample:
    requests = await _payment_requests(target)
    return await node.graphql(target, itertools.cycle(requests), _load(target))


async def _pgbench_payment(target: Target) -> Sample:
    await target.supply.log_in(1)
    ids = await _payment_ids(target)
    return await limits.pgbench(target, ids[0], _load(target, 8))


# ── a page of payments ───────────────────────────────────────────────────────────────────────────


async def _page_request(target: Target) -> bytes:
    await target.supply.log_in(1)
    supply = target.supply
    return supply.request("Transactions", {"first": PAGE}, supply.office)


async def _transactions(target: Target) -> Sample:
    request = await _page_request(target)
    return await _read(target, itertools.repeat(request), _load(target))


async def _node_transactions(target: Target) -> Sample:
    request = await _page_request(target)
    return await node.graphql(target, itertools.repeat(request), _load(target))


# ── a customer and their bills ───────────────────────────────────────────────────────────────────


def customer_requests(target: Target) -> Iterator[bytes]:
    """Yield endlessly CustomerBills of unread contracts."""
    supply = target.supply
    for token in itertools.cycle(supply.collectors):
        yield supply.request("CustomerBills", {"contractNumber": supply.contract()}, token)


async def _bills(target: Target) -> Sample:
    await target.supply.log_in(CUSTOMER_CLIENTS)
    load = _load(target, CUSTOMER_CLIENTS)
    return await _read(target, customer_requests(target), load)


async def _direct_bills(target: Target) -> Sample:
    outcome = await limits.direct(target, _load(target, CUSTOMER_CLIENTS))
    calls = len(limits.CALLS_OF_A_READ)
    count = max(outcome.done / calls, 1)
    values = {"rate": outcome.rate / calls, "client": 1000 * outcome.client_cpu / count}
    return Sample(values, outcome.errors)


async def _node_bills(target: Target) -> Sample:
    await target.supply.log_in(CUSTOMER_CLIENTS)
    load = _load(target, CUSTOMER_CLIENTS)
    return await node.graphql(target, customer_requests(target), load)


async def _cached_requests(target: Target) -> list[bytes]:
    """Return CustomerBills of a few contracts that have just been read."""
    await target.supply.log_in(CUSTOMER_CLIENTS)
    requests = list(itertools.islice(customer_requests(target), CACHED_CONTRACTS))
    warm = Clients(count=CLIENTS)
    await closed(target.stack.api, iter(requests), graphql_ok, warm)
    return requests


async def _cached_bills(target: Target) -> Sample:
    requests = await _cached_requests(target)
    return await _read(target, itertools.cycle(requests), _load(target, CUSTOMER_CLIENTS))


async def _bare_bills(target: Target) -> Sample:
    request = (await _cached_requests(target))[0]
    body = await _body(target, request)
    return await limits.bare(target, request, body, _load(target, CUSTOMER_CLIENTS))


def _metrics(rate: Goal, *, api: Goal | None = None, database: bool = True) -> tuple[Metric, ...]:
    metrics = [
        Metric(key="rate", title="Answers", unit="/s", more_is_better=True, goal=rate),
        Metric(key="API", title="CPU: API", unit="ms", goal=api),
    ]
    if database:
        metrics.append(Metric(key="PostgreSQL", title="CPU: PostgreSQL", unit="ms"))
    return (*metrics, CLIENT)


ROWS = (
    Row(
        key="typename",
        group="reads",
        title=f"{{__typename}} of a member of staff, {CLIENTS} clients",
        metrics=_metrics(
            Goal(
                words="≥ 3 ×, then ≥ 8 ×; ≥ 0.4 × bare",
                first_half=3,
                second_half=8,
                limits={"bare": 0.4},
                pinned_range=(520, 640),
            )
        ),
        measure=_typename,
        limits={"bare": _bare_typename},
    ),
    Row(
        key="payment",
        group="reads",
        title=f"Payment by id, {CLIENTS} clients",
        metrics=_metrics(
            Goal(
                words="then ≥ 4 ×; ≥ 2 × mercurius",
                second_half=4,
                limits={"mercurius": 2},
                pinned_range=(265, 428),
            )
        ),
        measure=_payment,
        limits={"mercurius": _node_payment, "pgbench": _pgbench_payment},
    ),
    Row(
        key="transactions",
        group="reads",
        title=f"Transactions of {PAGE} with totals, {CLIENTS} clients",
        metrics=_metrics(
            Goal(
                words="then ≥ 6 ×; ≥ 2 × mercurius",
                second_half=6,
                limits={"mercurius": 2},
                pinned_range=(44, 62),
            ),
            api=Goal(words="then ≤ 3 ms"),
        ),
        measure=_transactions,
        limits={"mercurius": _node_transactions},
    ),
    Row(
        key="bills",
        group="reads",
        title=f"CustomerBills of new contracts, {CUSTOMER_CLIENTS} clients",
        metrics=_metrics(
            Goal(
                words="≥ 5 ×, then ≥ 13 ×; ≥ 0.7 × direct",
                first_half=5,
                second_half=13,
                limits={"direct": 0.7},
                pinned_range=(25, 39),
            ),
            api=Goal(words="≤ 4.5 ms, then ≤ 1.8 ms", pinned_range=(25, 33)),
        ),
        measure=_bills,
        limits={"direct": _direct_bills, "mercurius": _node_bills},
    ),
    Row(
        key="cached",
        group="reads",
        title=f"CustomerBills of {CACHED_CONTRACTS} contracts, repeatedly",
        metrics=_metrics(Goal(words="≥ 500/s, then ≥ 2,000/s; ≥ 0.3 × bare", limits={"bare": 0.3})),
        measure=_cached_bills,
        limits={"bare": _bare_bills},
    ),
)
