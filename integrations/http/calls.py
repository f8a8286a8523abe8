"""A call to a counterpart: one value that passes through a list of steps to the transport."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from integrations.http.messages import Answer, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """
    Seconds: `read` is the longest silence within an answer, `total` bounds a call with its retries.

    `place` is the longest wait for a place of the bulkhead, as long as a silent counterpart holds
    one. `total` stays below the 25 seconds of a mutation.
    """

    place: float = 10.0
    connect: float = 3.0
    read: float = 10.0
    total: float = 24.0


@dataclass(slots=True)
class Progress:
    """The progress of one try. `sent` is set before the first byte of the request is written."""

    started_at: float = field(default_factory=time.perf_counter)
    sent: bool = False
    status: int | None = None

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One try of a call. `deadline` is the event loop's time at which all its tries end."""

    system: str
    request: Request
    content: bytes | None = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    read: Callable[[Answer], Any]
    deadline: float
    progress: Progress = field(default_factory=Progress)

    @property
    def operation(self) -> str:
        return self.request.operation

    def next_try(self) -> Call:
        return replace(self, progress=Progress())


Proceed = Callable[[Call], Awaitable[Any]]
Step = Callable[[Call, Proceed], Awaitable[Any]]
"""A step gets the call and what comes after it; it returns what the call's `read` returned."""


def through(steps: Sequence[Step], last: Proceed) -> Proceed:
    """Return the calls' way through *steps*, outermost first, to *last*."""
    way = last
    for step in reversed(steps):
        way = partial(_take, step, way)
    return way


def _take(step: Step, way: Proceed, call: Call) -> Awaitable[Any]:
    return step(call, way)


class Transport(Protocol):
    """What sends one request and reads one answer, with any status."""

    async def exchange(self, call: Call) -> Answer:
        """Set the call's `sent` before the first byte. Raises TransportError or TimeoutError."""
        ...

    async def aclose(self) -> None: ...
