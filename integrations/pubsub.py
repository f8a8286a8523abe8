"""
Redis publish and subscribe, as a backend of broadcaster that survives a lost connection.

One supervised connection reads for the whole process. A lost connection is replaced after a
jittered pause, every channel is subscribed again, and each receives one `RESYNC`, because messages
may be lost. Publishing never raises and never waits long. A message that Redis does not take still
reaches the subscribers of this process.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import redis.asyncio as redis
import structlog
from broadcaster import Broadcast, BroadcastBackend, Event
from prometheus_client import Counter
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

_redis: Any = redis  # pyright knows only half of its annotations
_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RECONNECTS: Final = Counter("mobinet_pubsub_reconnects", "Subscriber connections to Redis lost")
UNPUBLISHED: Final = Counter("mobinet_pubsub_unpublished", "Messages that Redis did not take")

MAX_CHANNELS_PER_COMMAND: Final = 1_000


class _Resync(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "RESYNC"


RESYNC: Final[str] = _Resync("RESYNC")
"""Stands for lost messages: the subscriber reads the database again. Compare with `is`."""


class RedisBroadcast(Broadcast):
    """A broadcaster over `redis://`, `rediss://` or `unix://`."""

    def __init__(self, url: str) -> None:
        self.backend = RedisBackend(url)
        super().__init__(backend=self.backend)

    async def publish_all(self, messages: Sequence[tuple[str, str]]) -> None:
        """Publish messages, each with its channel, at once."""
        await self.backend.publish_all(messages)


class RedisBackend(BroadcastBackend):
    def __init__(
        self,
        url: str,
        *,
        ping_seconds: float = 2.0,
        confirm_seconds: float = 1.0,
        publish_seconds: float = 0.1,
        longest_pause: float = 2.0,
    ) -> None:
        """
        Set the limits in seconds.

        `ping_seconds` is the longest silence of Redis, `confirm_seconds` bounds one subscription,
        `publish_seconds` one `publish`, and `longest_pause` the time between two connections.
        """
        self._ping_seconds = ping_seconds
        self._confirm_seconds = confirm_seconds
        self._publish_seconds = publish_seconds
        self._longest_pause = longest_pause
        no_retry = Retry(NoBackoff(), 0)
        self._readers = _redis.ConnectionPool.from_url(
            url,
            protocol=2,
            retry=no_retry,
            socket_timeout=None,
            socket_connect_timeout=confirm_seconds,
        )
        self._publisher = _redis.Redis.from_pool(
            _redis.BlockingConnectionPool.from_url(
                url,
                max_connections=4,
                timeout=publish_seconds,
                retry=no_retry,
                socket_timeout=publish_seconds,
                socket_connect_timeout=publish_seconds,
            )
        )
        self._confirmations: dict[str, asyncio.Future[None]] = {}
        self._commands: asyncio.Queue[tuple[str, ...]] | None = None  # None while not connected
        self._events: asyncio.Queue[Event] = asyncio.Queue(maxsize=10_000)
        self._last_reply_at = 0.0
        self._connected = asyncio.Event()
        self._publishing_fails = False
        self._unavailable = False
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def is_connected(self) -> bool:
        """Whether messages of other processes arrive now."""
        return self._commands is not None

    async def connect(self) -> None:
        """Return when Redis answers, or after `confirm_seconds` without an answer."""
        self._supervisor = asyncio.create_task(self._supervise(), name="pubsub")
        with suppress(TimeoutError):
            async with asyncio.timeout(self._confirm_seconds):
                await self._connected.wait()

    async def disconnect(self) -> None:
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        await self._publisher.aclose()
        await self._publisher.connection_pool.disconnect()

    async def subscribe(self, group: str) -> None:
        """Return when Redis has confirmed. If Redis is unavailable, a RESYNC follows later."""
        confirmed = self._confirmations[group] = asyncio.get_running_loop().create_future()
        if self._commands is not None:
            self._commands.put_nowait(("SUBSCRIBE", group))
            await asyncio.wait([confirmed], timeout=self._confirm_seconds)
        if not confirmed.done():
            confirmed.set_result(None)

    async def unsubscribe(self, group: str) -> None:
        self._confirmations.pop(group, None)
        if self._commands is not None:
            self._commands.put_nowait(("UNSUBSCRIBE", group))

    async def publish(self, channel: str, message: Any) -> None:
        await self.publish_all([(channel, message if isinstance(message, str) else str(message))])

    async def publish_all(self, messages: Sequence[tuple[str, str]]) -> None:
        """Publish messages, each with its channel, in one exchange with Redis. Never raises."""
        if not messages:
            return
        try:
            async with asyncio.timeout(self._publish_seconds):
                await self._publish(messages)
        except (RedisError, OSError, TimeoutError) as error:
            UNPUBLISHED.inc(len(messages))
            if not self._publishing_fails:
                _log.warning("redis_publish_failed", reason=_reason(error))
            self._publishing_fails = True
            for channel, message in messages:
                if channel in self._confirmations and not self._events.full():
                    self._events.put_nowait(Event(channel, message))
        else:
            self._publishing_fails = False

    async def next_published(self) -> Event:
        return await self._events.get()

    async def _publish(self, messages: Sequence[tuple[str, str]]) -> None:
        try:
            await self._send(messages)
        except (redis.ConnectionError, OSError):  # a pooled connection of before a restart
            await self._send(messages)

    async def _send(self, messages: Sequence[tuple[str, str]]) -> None:
        pipeline = self._publisher.pipeline(transaction=False)
        for channel, message in messages:
            pipeline.publish(channel, message.encode(errors="surrogateescape"))
        await pipeline.execute()

    async def _supervise(self) -> None:
        pause = 0.05
        while True:
            connection = self._readers.make_connection()
            try:
                await connection.connect()
                pause = 0.05
                if self._unavailable:
                    _log.info("redis_connected_again")
                self._unavailable = False
                await self._run_connection(connection)
            except Exception as error:
                if not self._unavailable:  # one log line for all retries
                    _log.warning("redis_unavailable", reason=_reason(error))
                self._unavailable = True
            finally:
                self._commands = None
                self._release_subscribers()
                await connection.disconnect(nowait=True)
            RECONNECTS.inc()
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, self._longest_pause)

    async def _run_connection(self, connection: Any) -> None:
        self._commands = asyncio.Queue()
        for names in _chunks(list(self._confirmations)):
            self._commands.put_nowait(("SUBSCRIBE", *names))
        self._connected.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(connection))
            group.create_task(self._write(connection, self._commands))
            group.create_task(self._ping(self._commands))

    async def _read(self, connection: Any) -> None:
        while True:
            reply: list[object] | bytes = await connection.read_response(timeout=math.inf)
            self._last_reply_at = asyncio.get_running_loop().time()
            match reply:
                case [b"message", bytes(name), bytes(data)]:
                    await self._events.put(Event(_text(name), _text(data)))
                case [b"subscribe", bytes(name), _]:
                    await self._confirm(_text(name))
                case _:
                    pass

    async def _confirm(self, name: str) -> None:
        confirmed = self._confirmations.get(name)
        if confirmed is None:
            return
        if confirmed.done():  # a repeated subscription, or one that came too late
            await self._events.put(Event(name, RESYNC))
        else:
            confirmed.set_result(None)

    async def _write(self, connection: Any, commands: asyncio.Queue[tuple[str, ...]]) -> None:
        while True:
            await connection.send_command(*await commands.get(), check_health=False)

    async def _ping(self, commands: asyncio.Queue[tuple[str, ...]]) -> None:
        while True:
            sent_at = asyncio.get_running_loop().time()
            commands.put_nowait(("PING",))
            await asyncio.sleep(self._ping_seconds)
            if self._last_reply_at < sent_at:
                raise ConnectionError("Redis is silent")

    def _release_subscribers(self) -> None:
        """Let waiting subscribers continue: the next connection sends them a RESYNC."""
        for confirmed in self._confirmations.values():
            if not confirmed.done():
                confirmed.set_result(None)


def _reason(error: BaseException) -> str:
    """Return type and text of the first error in a group."""
    errors: Sequence[BaseException] = getattr(error, "exceptions", ())
    return _reason(errors[0]) if errors else f"{type(error).__name__}: {error}"


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), MAX_CHANNELS_PER_COMMAND):
        yield names[start : start + MAX_CHANNELS_PER_COMMAND]
