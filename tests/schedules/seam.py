"""
The seam at which operations are held: before each statement, each commit and each outer call.

It wraps asyncpg's statements and both HTTP transports of this process. Only the tasks of a `Lane`
are held; every other task runs freely, and asyncpg's own catalogue queries are no steps.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import asyncpg

from integrations.http.calls import Call
from integrations.http.httpx_transport import HttpxTransport
from integrations.http.pool import PooledTransport

Work = Callable[[], Awaitable[object]]


@dataclass(eq=False)
class Lane:
    """One operation and the steps that it has taken; `changed` is set whenever it moves."""

    name: str
    work: Work
    changed: asyncio.Event
    steps: list[str] = field(default_factory=list)
    sessions: set[int] = field(default_factory=set)  # PostgreSQL's ids of those that it has used
    _waiting: deque[tuple[str, asyncio.Future[None]]] = field(default_factory=deque)
    _running: list[int] = field(default_factory=list)
    _calls: int = 0
    _task: asyncio.Task[object] | None = None

    def start(self) -> None:
        async def in_lane() -> object:
            LANE.set(self)
            try:
                return await self.work()
            finally:
                self.changed.set()

        self._task = asyncio.ensure_future(in_lane())
        self._task.add_done_callback(lambda _: self.changed.set())

    @property
    def done(self) -> bool:
        return self._task is not None and self._task.done()

    @property
    def held(self) -> bool:
        """Whether it stands before a step, with no other step still running."""
        return bool(self._waiting) and not self._running and not self._calls

    @property
    def running(self) -> list[int]:
        """The sessions whose statement PostgreSQL has not answered."""
        return self._running

    def go(self) -> None:
        """Let it take the step that it stands before."""
        step, gate = self._waiting.popleft()
        self.steps.append(step)
        gate.set_result(None)

    async def result(self) -> object:
        """Return the operation's result, or its exception."""
        assert self._task is not None
        (result,) = await asyncio.gather(self._task, return_exceptions=True)
        return result

    async def stop(self) -> None:
        """Cancel the operation where it still runs."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def statement(self, step: str, session: int, run: Work) -> Any:
        await self._arrive(step)
        self.sessions.add(session)
        self._running.append(session)
        self.changed.set()
        try:
            return await run()
        finally:
            self._running.remove(session)
            self.changed.set()

    async def call(self, step: str, run: Work) -> Any:
        await self._arrive(step)
        self._calls += 1
        try:
            return await run()
        finally:
            self._calls -= 1
            self.changed.set()

    async def _arrive(self, step: str) -> None:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((step, gate))
        self.changed.set()
        await gate


LANE: ContextVar[Lane | None] = ContextVar("lane", default=None)


def _lane() -> Lane | None:
    """Return the lane of this task; what outlives its operation is no longer held."""
    lane = LANE.get()
    return None if lane is None or lane.done else lane


@contextmanager
def held_steps() -> Generator[None]:
    """Hold the steps of every lane until its `go`."""
    connection: Any = asyncpg.Connection
    fetch, script = connection._execute, connection.execute
    exchanges = {transport: transport.exchange for transport in (PooledTransport, HttpxTransport)}

    async def held_fetch(self: Any, query: str, *args: Any, **more: Any) -> Any:
        return await held(self, query, lambda: fetch(self, query, *args, **more))

    async def held_script(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if args:  # asyncpg then uses `_execute`
            return await script(self, query, *args, **more)
        return await held(self, query, lambda: script(self, query, **more))

    async def held(self: Any, query: str, run: Work) -> Any:
        lane = _lane()
        if lane is None:
            return await run()
        return await lane.statement(" ".join(query.split())[:60], self.get_server_pid(), run)

    def held_exchange(exchange: Any) -> Any:
        async def exchange_when_free(self: Any, call: Call) -> Any:
            lane = _lane()
            if lane is None:
                return await exchange(self, call)
            step = f"http {call.request.method} {call.system} {call.request.path}"
            return await lane.call(step, lambda: exchange(self, call))

        return exchange_when_free

    with (
        mock.patch.object(connection, "_execute", held_fetch),
        mock.patch.object(connection, "execute", held_script),
        mock.patch.object(PooledTransport, "exchange", held_exchange(exchanges[PooledTransport])),
        mock.patch.object(HttpxTransport, "exchange", held_exchange(exchanges[HttpxTransport])),
    ):
        yield
