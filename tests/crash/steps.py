"""
Number each visible step of a process: statements, commits, HTTP calls and published heads.

It wraps asyncpg (its own catalogue queries too), both transports and `Heads.add` in this process
alone. A kill names a number: before or after that step the process dies by SIGKILL.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import asyncpg

from domain.chain import Seal
from integrations.heads import Heads
from integrations.http.calls import Call
from integrations.http.httpx_transport import HttpxTransport
from integrations.http.pool import PooledTransport

When = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class KillPoint:
    at: int
    when: When


@dataclass(slots=True)
class Steps:
    """The steps so far: a statement is `sql …`, a call `http …`, a head `head …`."""

    kill: KillPoint | None = None
    taken: list[str] = field(default_factory=list)

    def enter(self, step: str) -> int:
        self.taken.append(step)
        number = len(self.taken)
        self._kill_at(number, "before")
        return number

    def leave(self, number: int) -> None:
        self._kill_at(number, "after")

    def _kill_at(self, number: int, when: When) -> None:
        if self.kill is not None and (self.kill.at, self.kill.when) == (number, when):
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def numbered_steps(kill: KillPoint | None = None) -> Generator[Steps]:
    """Number the steps of this process, whichever pool, library or task takes them."""
    steps = Steps(kill)
    connection: Any = asyncpg.Connection
    transports: list[Any] = [PooledTransport, HttpxTransport]
    heads: Any = Heads
    execute, script, add_head = connection._do_execute, connection.execute, heads.add
    exchanges = [transport.exchange for transport in transports]

    async def counted_statement(self: Any, query: str, *args: Any, **more: Any) -> Any:
        number = steps.enter(f"sql {_short(query)}")
        result = await execute(self, query, *args, **more)
        steps.leave(number)
        return result

    async def counted_script(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if args:  # asyncpg then uses `_do_execute`
            return await script(self, query, *args, **more)
        number = steps.enter(f"sql {_short(query)}")
        result = await script(self, query, **more)
        steps.leave(number)
        return result

    def counted(exchange: Any) -> Any:
        async def counted_exchange(self: Any, call: Call) -> Any:
            number = steps.enter(f"http {call.request.method} {call.system} {call.request.path}")
            answer = await exchange(self, call)
            steps.leave(number)
            return answer

        return counted_exchange

    def counted_head(self: Heads, seal: Seal) -> None:
        number = steps.enter(f"head {seal.last}")
        add_head(self, seal)
        steps.leave(number)

    connection._do_execute, connection.execute = counted_statement, counted_script
    heads.add = counted_head
    for transport, exchange in zip(transports, exchanges, strict=True):
        transport.exchange = counted(exchange)
    try:
        yield steps
    finally:
        connection._do_execute, connection.execute = execute, script
        heads.add = add_head
        for transport, exchange in zip(transports, exchanges, strict=True):
            transport.exchange = exchange


def _short(sql: str) -> str:
    return " ".join(sql.split())[:60]
