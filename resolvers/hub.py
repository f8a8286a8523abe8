"""
The hub: it passes hints from Redis channels to the watchers of this process.

Each channel has one Redis subscription per process, which lingers after its last watcher. A hint
only says that the database is to be read again. A watcher of a *state* holds the latest hint; a
watcher of a *feed* holds a bounded queue. Where hints may be lost, a watcher gets one `RESYNC`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final, Self

import structlog
from prometheus_client import Gauge

from integrations.pubsub import RESYNC, RedisBroadcast

__all__ = ["RESYNC", "Hub", "HubClosed", "Watcher"]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CHANNELS: Final = Gauge("mobinet_hub_channels", "Channels subscribed to by this process")
WATCHERS: Final = Gauge("mobinet_hub_watchers", "Watchers in this process")


class HubClosed(Exception):
    """The process is stopping, and nothing can be watched any more."""


class Watcher:
    """The hints for one watcher, which one task reads by `next` or by `async for`."""

    __slots__ = ("_closed", "_feed", "_pending", "_waiter")

    def __init__(self, feed: int | None) -> None:
        self._feed = feed
        self._pending: list[str] = []
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    async def next(self, timeout: float | None = None) -> str | None:  # noqa: ASYNC109
        """Return a hint or RESYNC, or None after `timeout` seconds. Raises HubClosed."""
        if not self._pending and not self._closed:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._waiter
            except TimeoutError:
                pass
            finally:
                self._waiter = None
        if self._pending:
            return self._pending.pop(0)
        if self._closed:
            raise HubClosed
        return None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            while (message := await self.next()) is None:
                pass
        except HubClosed:
            raise StopAsyncIteration from None
        return message

    def push(self, message: str) -> None:
        """Add a hint: it replaces the one of a state, and joins the queue of a feed."""
        if message is RESYNC:
            self._pending[:] = [RESYNC]
        elif self._feed is None:
            if not (self._pending and self._pending[0] is RESYNC):
                self._pending[:] = [message]
        elif len(self._pending) < self._feed:
            self._pending.append(message)
        else:
            self._pending[:] = [RESYNC]
        self._wake()

    def close(self) -> None:
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Channel:
    __slots__ = ("forwarder", "ready", "release_timer", "watchers")

    def __init__(self) -> None:
        self.watchers: set[Watcher] = set()
        self.ready = asyncio.Event()
        self.release_timer: asyncio.TimerHandle | None = None
        self.forwarder: asyncio.Task[None] | None = None


class Hub:
    """Watches and publishes channels, over a connected `RedisBroadcast`."""

    def __init__(self, broadcast: RedisBroadcast, *, linger: float = 1.0) -> None:
        """`linger` is for how many seconds a channel without watchers stays subscribed."""
        self._broadcast = broadcast
        self._linger = linger
        self._channels: dict[str, _Channel] = {}
        self._closed = False

    @asynccontextmanager
    async def watch(self, name: str, *, feed: int | None = None) -> AsyncGenerator[Watcher]:
        """
        Subscribe, and enter once Redis has confirmed it: read the database inside.

        With `feed`, up to that many hints wait in order; otherwise only the latest. Raises
        HubClosed.
        """
        if self._closed:
            raise HubClosed
        watcher = Watcher(feed)
        channel = self._join(name, watcher)
        try:
            await channel.ready.wait()
            yield watcher
        finally:
            self._leave(name, channel, watcher)

    async def publish(self, name: str, message: str) -> None:
        """Send a hint to every process. It never raises, and returns within a tenth of a second."""
        await self._broadcast.publish(name, message)

    async def publish_all(self, hints: Sequence[tuple[str, str]]) -> None:
        """Send hints, each a channel and its message, to every process, as `publish` does."""
        await self._broadcast.publish_all(hints)

    @property
    def connected(self) -> bool:
        """Whether hints from other processes arrive now; otherwise the sweep finds changes."""
        return self._broadcast.backend.is_connected

    def watched(self, prefix: str) -> list[str]:
        """Return the channels with *prefix* that have a watcher in this process."""
        return [
            name
            for name, channel in self._channels.items()
            if channel.watchers and name.startswith(prefix)
        ]

    def wake(self, name: str, message: str) -> None:
        """Send a hint to the watchers of this process alone."""
        if (channel := self._channels.get(name)) is not None:
            for watcher in channel.watchers:
                watcher.push(message)

    async def close(self) -> None:
        """End every watcher and every subscription."""
        self._closed = True
        channels = list(self._channels.values())
        self._channels.clear()
        for channel in channels:
            if channel.release_timer is not None:
                channel.release_timer.cancel()
            for watcher in channel.watchers:
                watcher.close()
        forwarders = [channel.forwarder for channel in channels if channel.forwarder is not None]
        for forwarder in forwarders:
            forwarder.cancel()
        if forwarders:
            await asyncio.wait(forwarders)

    def _join(self, name: str, watcher: Watcher) -> _Channel:
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel()
            channel.forwarder = asyncio.create_task(self._forward(name, channel))
        if channel.release_timer is not None:
            channel.release_timer.cancel()
            channel.release_timer = None
        channel.watchers.add(watcher)
        WATCHERS.inc()
        return channel

    def _leave(self, name: str, channel: _Channel, watcher: Watcher) -> None:
        channel.watchers.discard(watcher)
        WATCHERS.dec()
        if not channel.watchers and self._channels.get(name) is channel:
            self._release_later(name, channel)

    def _release_later(self, name: str, channel: _Channel) -> None:
        loop = asyncio.get_running_loop()
        channel.release_timer = loop.call_later(self._linger, self._release, name, channel)

    def _release(self, name: str, channel: _Channel) -> None:
        if not channel.ready.is_set():  # it is still subscribing, which must not be interrupted
            self._release_later(name, channel)
            return
        self._remove(name, channel)
        assert channel.forwarder is not None
        channel.forwarder.cancel()

    def _remove(self, name: str, channel: _Channel) -> None:
        if self._channels.get(name) is channel:
            del self._channels[name]

    async def _forward(self, name: str, channel: _Channel) -> None:
        """Forward from broadcaster's one queue of this channel to each watcher's own."""
        CHANNELS.inc()
        try:
            async with self._broadcast.subscribe(name) as subscriber:
                channel.ready.set()
                while True:
                    event = await subscriber.get()
                    for watcher in channel.watchers:
                        watcher.push(event.message)
        except Exception:
            log.exception("hub_channel_failed", channel=name)
            self._remove(name, channel)
        finally:
            CHANNELS.dec()
            channel.ready.set()
