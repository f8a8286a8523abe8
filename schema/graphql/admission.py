"""
Admission: a bounded line of requests before expensive work, in each process.

Requests of one kind share a lane. It lets some run at once; the others wait in order of arrival,
for a bounded time and in bounded number. What finds the line full, or waits too long, is refused
before anything is done for it: a request that runs is never refused.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from schema.graphql.errors import ApiError

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

RUNNING: Final = Gauge("mobinet_admission_running", "Requests that run", ("lane",))
WAITING: Final = Gauge("mobinet_admission_waiting", "Requests that wait to run", ("lane",))
REFUSED: Final = Counter("mobinet_admission_refused", "Requests refused unrun", ("lane", "why"))
SECONDS: Final = Histogram(
    "mobinet_admission_seconds", "Waiting of those that had to wait", ("lane",)
)
# Clients come back at different times, so that they are no storm again.
_RETRY_AFTER_MS = (1_000, 3_000)


class Overloaded(ApiError):
    """The refusal of a request that found no place; nothing was done for it."""

    def __init__(self) -> None:
        super().__init__("OVERLOADED", status=503)
        self.retry_after_ms = random.randint(*_RETRY_AFTER_MS)
        self.extensions = {"code": self.code, "retryAfterMs": self.retry_after_ms}

    @property
    def retry_after(self) -> str:
        """The value of the header `Retry-After`, in whole seconds."""
        return str(math.ceil(self.retry_after_ms / 1000))


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSize:
    """How many requests run at once, how many may wait, and for how many seconds."""

    places: int
    line: int
    seconds: float = 5.0


class Lane:
    """The requests of one kind in this process."""

    def __init__(self, name: str, size: LaneSize) -> None:
        self.name = name
        self.size = size
        self._places = asyncio.Semaphore(size.places)  # it serves those who wait in their order
        self._waiting = 0
        self._is_full = False
        self._running = 0
        RUNNING.labels(name).set_function(lambda: self._running)
        WAITING.labels(name).set_function(lambda: self._waiting)

    async def enter(self) -> None:
        """Take a place; whoever has it must `leave`. Raises Overloaded."""
        if self._places.locked():
            await self._wait()
        else:
            await self._places.acquire()
        self._running += 1

    def leave(self) -> None:
        """Give the place to the next in line."""
        self._running -= 1
        self._places.release()
        if self._is_full and not self._waiting:
            self._is_full = False
            log.info("admission_open_again", lane=self.name)

    @asynccontextmanager
    async def place(self) -> AsyncGenerator[None]:
        """Hold a place inside the block. Raises Overloaded."""
        await self.enter()
        try:
            yield
        finally:
            self.leave()

    async def _wait(self) -> None:
        if self._waiting >= self.size.line:
            raise self._refusal("full")
        started = asyncio.get_running_loop().time()
        self._waiting += 1
        try:
            async with asyncio.timeout(self.size.seconds):
                await self._places.acquire()
        except TimeoutError:
            raise self._refusal("late") from None
        finally:
            self._waiting -= 1
            SECONDS.labels(self.name).observe(asyncio.get_running_loop().time() - started)

    def _refusal(self, why: str) -> Overloaded:
        REFUSED.labels(self.name, why).inc()
        if not self._is_full:  # one line for a whole storm
            self._is_full = True
            log.warning("admission_refuses", lane=self.name, why=why)
        return Overloaded()
