"""The hub: whoever watches a channel in this process is woken from here.

One Redis subscription per channel and process, kept for a moment after its last watcher. What wakes is
a hint: the database is the truth. A watcher of a *state* keeps the latest message only; a watcher
of a *feed* keeps a bounded queue. Where something may be missing, there is one `RESYNC`.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Self

import structlog
from prometheus_client import Gauge

from integrations.pubsub import RESYNC, RedisBroadcast

__all__ = ["RESYNC", "Hub", "HubClosed", "Wakes"]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

CHANNELS: Final = Gauge("mobinet_hub_channels", "Channels subscribed to by this process")
WATCHERS: Final = Gauge("mobinet_hub_watchers", "Watchers in this process")


class HubClosed(Exception):
    """The process is going down; nothing wakes any more."""


class Wakes:
    """What wakes one watcher. Read by one task: `await wakes.next(timeout=…)` or `async for`."""

    __slots__ = ("_closed", "_feed", "_pending", "_waiter")

    def __init__(self, feed: int | None) -> None:
        self._feed = feed
        self._pending: list[str] = []
        self._waiter: asyncio.Future[None] | None = None
        self._closed = False

    async def next(self, timeout: float | None = None) -> str | None:  # noqa: ASYNC109
        """A message, or RESYNC, or None after `timeout` seconds. Raises `HubClosed`."""
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
    __slots__ = ("leaving", "pump", "ready", "watchers")

    def __init__(self) -> None:
        self.watchers: set[Wakes] = set()
        self.ready = asyncio.Event()
        self.leaving: asyncio.TimerHandle | None = None
        self.pump: asyncio.Task[None] | None = None


class Hub:
    """`hub.watch(channel)` and `hub.publish(channel, message)`, over a connected `RedisBroadcast`."""

    def __init__(self, broadcast: RedisBroadcast, *, linger: float = 1.0) -> None:
        """`linger`: seconds for which a channel without watchers stays subscribed."""
        self._broadcast = broadcast
        self._linger = linger
        self._channels: dict[str, _Channel] = {}
        self._closed = False

    @asynccontextmanager
    async def watch(self, name: str, *, feed: int | None = None) -> AsyncGenerator[Wakes]:
        """Entered when Redis has confirmed the subscription: read the database inside.

        With `feed`, up to that many messages wait in their order; else the latest alone.
        """
        if self._closed:
            raise HubClosed
        wakes = Wakes(feed)
        channel = self._join(name, wakes)
        try:
            await channel.ready.wait()
            yield wakes
        finally:
            self._leave(name, channel, wakes)

    async def publish(self, name: str, message: str) -> None:
        """Tells every process. Never raises, and returns within a tenth of a second."""
        await self._broadcast.publish(name, message)

    @property
    def connected(self) -> bool:
        """Whether hints from other processes arrive now; without them the sweep finds changes."""
        return self._broadcast.backend.is_connected

    def watched(self, prefix: str) -> list[str]:
        """The channels that begin with *prefix* and have a watcher in this process."""
        return [
            name
            for name, channel in self._channels.items()
            if channel.watchers and name.startswith(prefix)
        ]

    def wake(self, name: str, message: str) -> None:
        """Tells the watchers of this process alone."""
        if (channel := self._channels.get(name)) is not None:
            for wakes in channel.watchers:
                wakes.push(message)

    async def close(self) -> None:
        """Ends every watch and every subscription."""
        self._closed = True
        channels = list(self._channels.values())
        self._channels.clear()
        for channel in channels:
            if channel.leaving is not None:
                channel.leaving.cancel()
            for wakes in channel.watchers:
                wakes.close()
        pumps = [channel.pump for channel in channels if channel.pump is not None]
        for pump in pumps:
            pump.cancel()
        if pumps:
            await asyncio.wait(pumps)

    def _join(self, name: str, wakes: Wakes) -> _Channel:
        channel = self._channels.get(name)
        if channel is None:
            channel = self._channels[name] = _Channel()
            channel.pump = asyncio.create_task(self._pump(name, channel))
        if channel.leaving is not None:
            channel.leaving.cancel()
            channel.leaving = None
        channel.watchers.add(wakes)
        WATCHERS.inc()
        return channel

    def _leave(self, name: str, channel: _Channel, wakes: Wakes) -> None:
        channel.watchers.discard(wakes)
        WATCHERS.dec()
        if not channel.watchers and self._channels.get(name) is channel:
            self._release_later(name, channel)

    def _release_later(self, name: str, channel: _Channel) -> None:
        loop = asyncio.get_running_loop()
        channel.leaving = loop.call_later(self._linger, self._release, name, channel)

    def _release(self, name: str, channel: _Channel) -> None:
        if not channel.ready.is_set():  # subscribing still: that is not to be interrupted
            self._release_later(name, channel)
            return
        self._forget(name, channel)
        assert channel.pump is not None
        channel.pump.cancel()

    def _forget(self, name: str, channel: _Channel) -> None:
        if self._channels.get(name) is channel:
            del self._channels[name]

    async def _pump(self, name: str, channel: _Channel) -> None:
        """From broadcaster's one queue for this channel to every watcher's own."""
        CHANNELS.inc()
        try:
            async with self._broadcast.subscribe(name) as subscriber:
                channel.ready.set()
                while True:
                    event = await subscriber.get()
                    for wakes in channel.watchers:
                        wakes.push(event.message)
        except Exception:
            log.exception("a channel fell silent", channel=name)
            self._forget(name, channel)
        finally:
            CHANNELS.dec()
            channel.ready.set()
