"""
Every step that a process takes towards the outside, numbered as it is taken: statements, commits, calls and heads.

Wraps what everything goes through in asyncpg (also what it asks of the catalogue by itself) and in httpx,
and the telling of a chain's head, in this process alone. At the number it was told, before or after that step, the process dies as by `kill -9`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import asyncpg
import httpx

from domain.chain import Seal
from integrations.heads import Heads

When = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Kill:
    at: int
    when: When


@dataclass(slots=True)
class Steps:
    """What was done so far. A statement is `sql …`, a call `http …`, a head `told …`."""

    kill: Kill | None = None
    taken: list[str] = field(default_factory=list)

    def enter(self, what: str) -> int:
        self.taken.append(what)
        number = len(self.taken)
        self._die(number, "before")
        return number

    def leave(self, number: int) -> None:
        self._die(number, "after")

    def _die(self, number: int, when: When) -> None:
        if self.kill is not None and (self.kill.at, self.kill.when) == (number, when):
            os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def numbered(kill: Kill | None = None) -> Generator[Steps]:
    """Number the steps of this process meanwhile, whichever pool, library or task takes them."""
    steps = Steps(kill)
    connection: Any = asyncpg.Connection
    transport: Any = httpx.AsyncHTTPTransport
    heads: Any = Heads
    execute, script, call, told = (
        connection._do_execute,
        connection.execute,
        transport.handle_async_request,
        heads.add,
    )

    async def one_statement(self: Any, query: str, *args: Any, **more: Any) -> Any:
        number = steps.enter(f"sql {_short(query)}")
        result = await execute(self, query, *args, **more)
        steps.leave(number)
        return result

    async def a_script(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if args:  # then it goes by `_do_execute`
            return await script(self, query, *args, **more)
        number = steps.enter(f"sql {_short(query)}")
        result = await script(self, query, **more)
        steps.leave(number)
        return result

    async def a_call(self: Any, request: httpx.Request) -> Any:
        number = steps.enter(f"http {request.method} {request.url.path}")
        response = await call(self, request)
        steps.leave(number)
        return response

    def a_head(self: Heads, seal: Seal) -> None:
        number = steps.enter(f"told head {seal.last}")
        told(self, seal)
        steps.leave(number)

    connection._do_execute, connection.execute = one_statement, a_script
    heads.add = a_head
    transport.handle_async_request = a_call
    try:
        yield steps
    finally:
        connection._do_execute, connection.execute = execute, script
        heads.add = told
        transport.handle_async_request = call


def _short(sql: str) -> str:
    return " ".join(sql.split())[:60]
