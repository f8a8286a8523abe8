"""Many sockets that each watch a payment, and the events that they receive."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from benchmarks.client.http import Address
from benchmarks.client.websocket import Socket, open_socket

_CONCURRENT_OPENINGS = 64
PER_ACTOR = 20
"""Sockets that the API allows one member of staff."""


@dataclass(slots=True)
class Watcher:
    """A socket with one subscription. Times are Unix seconds."""

    socket: Socket
    events: list[tuple[bytes, float]] = field(default_factory=list[tuple[bytes, float]])


@dataclass(slots=True)
class WatcherGroup:
    """Sockets that were opened together; `failed` counts those that were not."""

    watchers: list[Watcher] = field(default_factory=list[Watcher])
    failed: int = 0
    seconds: float = 0.0

    def abort(self) -> None:
        """End all connections at once, without a close frame."""
        for watcher in self.watchers:
            watcher.socket.abort()

    def event_times(self, version: bytes) -> list[float]:
        """Return when each watcher first received an event that contains *version*."""
        return [
            found
            for watcher in self.watchers
            if (found := next((at for text, at in watcher.events if version in text), None))
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """The subscription of a socket; an empty token connects without a login."""

    document: str
    payment: str
    token: str


async def open_watchers(
    address: Address, subscriptions: Sequence[Subscription], *, seconds: float = 120.0
) -> WatcherGroup:
    """Open a socket for each subscription, a few at once, and wait for its first event."""
    group, begun = WatcherGroup(), time.perf_counter()
    waiting = iter(subscriptions)

    async def open_some() -> None:
        for subscription in waiting:
            try:
                async with asyncio.timeout(max(seconds - (time.perf_counter() - begun), 0.01)):
                    group.watchers.append(await _open(address, subscription))
            except (OSError, TimeoutError):
                group.failed += 1

    await asyncio.gather(*(open_some() for _ in range(_CONCURRENT_OPENINGS)))
    group.seconds = time.perf_counter() - begun
    return group


async def _open(address: Address, subscription: Subscription) -> Watcher:
    watcher = Watcher(await open_socket(address))
    first: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def heard(message: bytes, at: float) -> None:
        if b'"type":"connection_ack"' in message:
            payload = {
                "query": subscription.document,
                "operationName": "PaymentStatus",
                "variables": {"id": subscription.payment},
            }
            watcher.socket.send({"type": "subscribe", "id": "1", "payload": payload})
        elif b'"type":"next"' in message:
            watcher.events.append((message, at))
            if not first.done():
                first.set_result(None)
        elif not first.done():
            first.set_exception(ConnectionError("the subscription was refused"))

    watcher.socket.on_message = heard
    login = {"authorization": f"Bearer {subscription.token}"} if subscription.token else {}
    watcher.socket.send({"type": "connection_init", "payload": login})
    try:
        await first
    except (ConnectionError, asyncio.CancelledError):
        watcher.socket.abort()
        raise
    return watcher


async def wait_for(
    group: WatcherGroup, version: bytes, count: int, *, seconds: float = 30.0
) -> int:
    """Wait until *count* watchers have received *version*; return how many have."""
    deadline = time.monotonic() + seconds
    while True:
        found = len(group.event_times(version))
        if found >= count or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.05)


def changed_at(message: bytes) -> float:
    """Return the Unix time at which the payment of an event was changed."""
    payment = json.loads(message)["payload"]["data"]["paymentStatus"]
    return datetime.fromisoformat(payment["updatedAt"]).timestamp()
