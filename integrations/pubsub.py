"""Redis' publish and subscribe, as a backend of broadcaster that outlives its connection.

One supervised connection reads for the whole process. When it is lost, it is made anew after a jittered
pause, every channel is subscribed again, and each hears one `RESYNC`: something may have been said
meanwhile. Publishing is a hint; it never raises and never waits long: what Redis does not take
still reaches the listeners of this process.
"""

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

_redis: Any = redis  # its annotations are half unknown to a strict checker
log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RECONNECTS: Final = Counter("mobinet_pubsub_reconnects", "Subscriber connections to Redis lost")
UNPUBLISHED: Final = Counter("mobinet_pubsub_unpublished", "Messages that Redis did not take")

MOST_IN_ONE_COMMAND: Final = 1_000


class _Resync(str):
    __slots__ = ()

    def __repr__(self) -> str:
        return "RESYNC"


RESYNC: Final[str] = _Resync("RESYNC")
"""In the place of a message: some may be missing, read the database again. Compare with `is`."""


class RedisBroadcast(Broadcast):
    """Over `redis://`, `rediss://` or `unix://`; `connect()` it, `disconnect()` it."""

    def __init__(self, url: str) -> None:
        self.backend = RedisBackend(url)
        super().__init__(backend=self.backend)


def broadcast(url: str) -> RedisBroadcast:
    return RedisBroadcast(url)


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
        """`ping_seconds`: how long Redis may be silent; `publish_seconds`: how long one `publish` takes."""
        self._ping_seconds = ping_seconds
        self._confirm_seconds = confirm_seconds
        self._publish_seconds = publish_seconds
        self._longest_pause = longest_pause
        never = Retry(NoBackoff(), 0)
        self._readers = _redis.ConnectionPool.from_url(
            url,
            protocol=2,
            retry=never,
            socket_timeout=None,
            socket_connect_timeout=confirm_seconds,
        )
        self._publisher = _redis.Redis.from_pool(
            _redis.BlockingConnectionPool.from_url(
                url,
                max_connections=4,
                timeout=publish_seconds,
                retry=never,
                socket_timeout=publish_seconds,
                socket_connect_timeout=publish_seconds,
            )
        )
        self._wanted: dict[str, asyncio.Future[None]] = {}
        self._commands: asyncio.Queue[tuple[str, ...]] | None = None  # None: not connected
        self._events: asyncio.Queue[Event] = asyncio.Queue(maxsize=10_000)
        self._heard = 0.0
        self._connected = asyncio.Event()
        self._publishing_fails = False
        self._away = False
        self._supervisor: asyncio.Task[None] | None = None

    # What broadcaster calls

    @property
    def is_connected(self) -> bool:
        """Whether hints from other processes arrive now."""
        return self._commands is not None

    async def connect(self) -> None:
        """Returns when Redis answers, or after a moment without it."""
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
        """Returns when Redis has confirmed it; when Redis is away, at once: a RESYNC follows then."""
        confirmed = self._wanted[group] = asyncio.get_running_loop().create_future()
        if self._commands is not None:
            self._commands.put_nowait(("SUBSCRIBE", group))
            await asyncio.wait([confirmed], timeout=self._confirm_seconds)
        if not confirmed.done():
            confirmed.set_result(None)

    async def unsubscribe(self, group: str) -> None:
        self._wanted.pop(group, None)
        if self._commands is not None:
            self._commands.put_nowait(("UNSUBSCRIBE", group))

    async def publish(self, channel: str, message: Any) -> None:
        text = message if isinstance(message, str) else str(message)
        try:
            async with asyncio.timeout(self._publish_seconds):
                await self._publish(channel, text.encode(errors="surrogateescape"))
        except (RedisError, OSError, TimeoutError) as error:
            UNPUBLISHED.inc()
            if not self._publishing_fails:
                log.warning("Redis takes no messages", why=_why(error))
            self._publishing_fails = True
            if channel in self._wanted and not self._events.full():
                self._events.put_nowait(Event(channel, text))
        else:
            self._publishing_fails = False

    async def next_published(self) -> Event:
        return await self._events.get()

    # The connection

    async def _publish(self, channel: str, message: bytes) -> None:
        try:
            await self._publisher.publish(channel, message)
        except (redis.ConnectionError, OSError):  # a connection of before a restart fails once
            await self._publisher.publish(channel, message)

    async def _supervise(self) -> None:
        pause = 0.05
        while True:
            connection = self._readers.make_connection()
            try:
                await connection.connect()
                pause = 0.05
                if self._away:
                    log.info("Redis is back")
                self._away = False
                await self._converse(connection)
            except Exception as error:
                if not self._away:  # once, however often it is tried
                    log.warning("Redis is away: its messages are done without", why=_why(error))
                self._away = True
            finally:
                self._commands = None
                self._release()
                await connection.disconnect(nowait=True)
            RECONNECTS.inc()
            await asyncio.sleep(random.uniform(pause / 2, pause))
            pause = min(pause * 2, self._longest_pause)

    async def _converse(self, connection: Any) -> None:
        self._commands = asyncio.Queue()
        for names in _chunks(list(self._wanted)):
            self._commands.put_nowait(("SUBSCRIBE", *names))
        self._connected.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(connection))
            group.create_task(self._write(connection, self._commands))
            group.create_task(self._ping(self._commands))

    async def _read(self, connection: Any) -> None:
        while True:
            reply: list[object] | bytes = await connection.read_response(timeout=math.inf)
            self._heard = asyncio.get_running_loop().time()
            match reply:
                case [b"message", bytes(name), bytes(data)]:
                    await self._events.put(Event(_text(name), _text(data)))
                case [b"subscribe", bytes(name), _]:
                    await self._subscribed(_text(name))
                case _:
                    pass

    async def _subscribed(self, name: str) -> None:
        confirmed = self._wanted.get(name)
        if confirmed is None:
            return
        if confirmed.done():  # again, or too late for its subscriber
            await self._events.put(Event(name, RESYNC))
        else:
            confirmed.set_result(None)

    async def _write(self, connection: Any, commands: asyncio.Queue[tuple[str, ...]]) -> None:
        while True:
            await connection.send_command(*await commands.get(), check_health=False)

    async def _ping(self, commands: asyncio.Queue[tuple[str, ...]]) -> None:
        while True:
            asked = asyncio.get_running_loop().time()
            commands.put_nowait(("PING",))
            await asyncio.sleep(self._ping_seconds)
            if self._heard < asked:
                raise ConnectionError("Redis is silent")

    def _release(self) -> None:
        """Lets go whoever waits for a confirmation: the next connection brings a RESYNC."""
        for confirmed in self._wanted.values():
            if not confirmed.done():
                confirmed.set_result(None)


def _why(error: BaseException) -> str:
    """What went wrong first, in the words of whoever noticed."""
    together: Sequence[BaseException] = getattr(error, "exceptions", ())
    return _why(together[0]) if together else f"{type(error).__name__}: {error}"


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _chunks(names: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(names), MOST_IN_ONE_COMMAND):
        yield names[start : start + MOST_IN_ONE_COMMAND]
