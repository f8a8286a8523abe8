"""Subscriptions: cost of a socket, latency of a change, and fan-out to thousands."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from benchmarks.baselines import node
from benchmarks.client.http import Address, post
from benchmarks.processes import ProcessTree
from benchmarks.row import Goal, Metric, NotMeasured, Row, Sample, Target
from benchmarks.stack import Stack
from benchmarks.supply import once
from benchmarks.watchers import (
    PER_ACTOR,
    Subscription,
    WatcherGroup,
    changed_at,
    open_watchers,
    wait_for,
)

PAYMENTS = 50
CHANGES = 20
_FIRST_AUDITOR = 1800
_AUDITORS = 150
_SUCCESS = b'"status":"SUCCESS"'


@dataclass(frozen=True, slots=True)
class OpenPayment:
    """A payment with an open QR, and the token of its collector."""

    id: str
    qr: str
    token: str


async def _open_payments(target: Target, count: int) -> list[OpenPayment]:
    supply = target.supply
    await supply.log_in(max(count, 1))
    await supply.stock(count)
    opened: list[OpenPayment] = []
    for token in supply.collectors[:count]:
        request = supply.payment("VNPAY_QR", supply.bill(), token)
        payload = (await once(target.stack.api, request)).json()["data"]["processPayment"]
        if payload["errors"]:
            raise NotMeasured(f"a QR cannot be opened: {payload['errors']}")
        payment = payload["payment"]
        opened.append(OpenPayment(payment["id"], payment["qr"]["payload"], token))
    return opened


async def _pay(target: Target, payment: OpenPayment) -> None:
    await target.supply.control("pay", {"qr": payment.qr})


def _quantile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("nan")


# ── what a socket costs ──────────────────────────────────────────────────────────────────────────


async def _sockets(target: Target) -> Sample:
    """Measure sockets on a restarted API, because only its first group grows its memory."""
    stack, options = target.stack, target.options
    opened = await _open_payments(target, max(PAYMENTS, options.sockets // PER_ACTOR))
    await stack.restart_api()
    warm = await open_watchers(stack.api, _subscriptions(target, opened, len(opened)))
    warm.abort()
    await stack.wait_until_quiet(seconds=10)
    tree = _api(stack)
    cpu, memory = tree.cpu(), tree.private_memory()
    group = await open_watchers(stack.api, _subscriptions(target, opened, options.sockets))
    count = max(len(group.watchers), 1)
    values = {
        "cpu": 1000 * (tree.cpu() - cpu) / count,
        "up": group.seconds,
        "memory": (tree.private_memory() - memory) / 1024 / count,
    }
    latencies, lost = await _changes(target, group, opened)
    values |= {
        "again": await _growth_by_another_group(target, group, opened) / 1024 / count,
        "one p50": 1000 * _quantile(latencies, 0.5),
        "one p99": 1000 * _quantile(latencies, 0.99),
    }
    sample = Sample(values)
    sample.errors["socket refused"] = group.failed
    sample.errors["event not received"] = lost
    sample.errors = +sample.errors
    return sample


async def _growth_by_another_group(
    target: Target, group: WatcherGroup, opened: list[OpenPayment]
) -> int:
    """Drop all sockets, open as many again, and return the bytes that this adds."""
    stack = target.stack
    memory = _api(stack).private_memory()
    group.abort()
    await stack.wait_until_quiet(seconds=10)
    unpaid = opened[CHANGES:] or opened
    count = min(len(group.watchers), len(unpaid) * PER_ACTOR)
    another = await open_watchers(stack.api, _subscriptions(target, unpaid, count))
    grown = _api(stack).private_memory() - memory
    another.abort()
    await stack.wait_until_quiet(seconds=10)
    return grown


async def _changes(
    target: Target, group: WatcherGroup, opened: list[OpenPayment]
) -> tuple[list[float], int]:
    """Pay some payments one by one; return each watcher's latency, and lost events."""
    latencies: list[float] = []
    lost = 0
    for payment in opened[:CHANGES]:
        watching = payment.id.encode()
        part = WatcherGroup([each for each in group.watchers if watching in each.events[0][0]])
        await _pay(target, payment)
        heard = await wait_for(part, _SUCCESS, len(part.watchers), seconds=10)
        lost += len(part.watchers) - heard
        for watcher in part.watchers:
            for message, at in watcher.events:
                if _SUCCESS in message:
                    latencies.append(at - changed_at(message))
                    break
    return latencies, lost


def _subscriptions(target: Target, opened: list[OpenPayment], count: int) -> list[Subscription]:
    document = target.supply.document("PaymentStatus")
    each = [opened[nth % len(opened)] for nth in range(count)]
    return [
        Subscription(document=document, payment=payment.id, token=payment.token) for payment in each
    ]


def _api(stack: Stack) -> ProcessTree:
    tree = stack.parts["API"].tree
    assert tree is not None
    return tree


# ── one payment that thousands watch ─────────────────────────────────────────────────────────────


async def _fan_out(target: Target) -> Sample:
    stack, options = target.stack, target.options
    (payment,) = await _open_payments(target, 1)
    tokens = await _auditor_tokens(target, -(-options.sockets // PER_ACTOR))
    document = target.supply.document("PaymentStatus")
    group = await open_watchers(
        stack.api,
        [
            Subscription(document=document, payment=payment.id, token=tokens[nth // PER_ACTOR])
            for nth in range(options.sockets)
        ],
    )
    await stack.wait_until_quiet(seconds=10)
    tree = _api(stack)
    cpu = tree.cpu()
    await _pay(target, payment)
    heard = await wait_for(group, _SUCCESS, len(group.watchers))
    cpu = tree.cpu() - cpu
    times = group.event_times(_SUCCESS)
    event = next(
        (text for watcher in group.watchers for text, _ in watcher.events if _SUCCESS in text), None
    )
    group.abort()
    await stack.wait_until_quiet(seconds=10)
    if event is None:
        raise NotMeasured("no watcher received the change")
    sample = _fan_out_sample(times, changed_at(event), cpu)
    sample.errors["socket refused"] = group.failed
    sample.errors["event not received"] = len(group.watchers) - heard
    sample.errors = +sample.errors
    return sample


async def _auditor_tokens(target: Target, count: int) -> list[str]:
    """Return tokens of auditors, who may watch every payment."""
    if count > _AUDITORS:
        raise NotMeasured(f"at most {_AUDITORS * PER_ACTOR} sockets may watch one payment here")
    staff_ids = [f"NV{_FIRST_AUDITOR + nth}" for nth in range(count)]
    for staff_id in staff_ids:
        await target.supply.control("staff", {"staff_id": staff_id, "role": "AUDITOR"})
    return await target.supply.tokens(staff_ids)


def _fan_out_sample(times: list[float], begun: float, cpu: float) -> Sample:
    latencies = [at - begun for at in times]
    return Sample(
        {
            "rate": len(times) / max(max(latencies), 1e-6),
            "p50": 1000 * _quantile(latencies, 0.5),
            "p99": 1000 * _quantile(latencies, 0.99),
            "API": 1e6 * cpu / max(len(times), 1),
        }
    )


async def _graphql_ws(target: Target) -> Sample:
    # The peer's schema has a payment's fields, without the objects that are null for cash.
    plain = (
        "subscription PaymentStatus($id: ID!) { paymentStatus(id: $id) { id version status method"
        " amount currency contractNumber needsVerification paymentUrl confirmationLink"
        " items { type id amount } custody createdAt updatedAt completedAt expiresAt } }"
    )
    count = target.options.sockets
    async with node.peer(target, "sockets.mjs", {}) as (part, address):
        wanted = [Subscription(document=plain, payment="TXN000000000001", token="")] * count
        group = await open_watchers(address, wanted)
        sample = await _publish(address, part.tree, group)
        group.abort()
    return sample


async def _publish(address: Address, tree: ProcessTree | None, group: WatcherGroup) -> Sample:
    assert tree is not None
    await asyncio.sleep(0.5)
    cpu, begun = tree.cpu(), time.time()
    await once(address, post("/publish", {}))
    await wait_for(group, _SUCCESS, len(group.watchers))
    return _fan_out_sample(group.event_times(_SUCCESS), begun, tree.cpu() - cpu)


ROWS = (
    Row(
        key="sockets",
        group="sockets",
        title="Sockets that each watch a payment",
        metrics=(
            Metric(
                key="cpu",
                title="CPU: API, connect to first event",
                unit="ms",
                goal=Goal(
                    words="≤ 4 ms, then ≤ 1.2 ms and ≥ 4 ×", second_half=4, pinned_range=(5.2, 6.6)
                ),
            ),
            Metric(
                key="memory",
                title="Private memory of the API, each",
                unit="KB",
                goal=Goal(
                    words="then ≤ 30 KB and ≤ 0.35 of pinned",
                    second_half=1 / 0.35,
                    pinned_range=(83, 86),
                ),
            ),
            Metric(key="up", title="Time until all are open", unit="s"),
            Metric(
                key="again",
                title="Memory growth after all have reconnected, each",
                unit="KB",
                goal=Goal(words="then flat"),
            ),
            Metric(key="one p50", title="Change to client, p50", unit="ms"),
            Metric(
                key="one p99",
                title="Change to client, p99",
                unit="ms",
                goal=Goal(words="then ≤ 50 ms"),
            ),
        ),
        measure=_sockets,
        worker=True,
    ),
    Row(
        key="fanout",
        group="sockets",
        title="A change of one payment that all sockets watch",
        metrics=(
            Metric(
                key="rate",
                title="Events until the last socket",
                unit="/s",
                more_is_better=True,
                goal=Goal(words="then ≥ 2 × graphql-ws", limits={"graphql-ws": 2}),
            ),
            Metric(key="p50", title="Change to client, p50", unit="ms"),
            Metric(key="p99", title="Change to client, p99", unit="ms"),
            Metric(key="API", title="CPU: API, an event", unit="µs"),
        ),
        measure=_fan_out,
        limits={"graphql-ws": _graphql_ws},
        worker=True,
    ),
)
