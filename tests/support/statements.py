"""Counts the statements that this process sends to PostgreSQL, but for looks at ended sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from db import clock
from resolvers import open_sessions


@dataclass
class Statements:
    """The statements so far, in their order."""

    seen: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.seen)


@pytest.fixture
def late_looks_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a request trust what was read before, however late a busy machine looks again."""
    monkeypatch.setattr(open_sessions, "TRUSTED_SECONDS", 1000.0)
    monkeypatch.setattr(clock, "MOST_OLD_SECONDS", 1000.0)


def _is_look() -> bool:
    task = asyncio.current_task()
    name = getattr(task.get_coro(), "__qualname__", "") if task else ""
    return name == open_sessions.OpenSessions.watch.__qualname__


@contextmanager
def statements() -> Iterator[Statements]:
    """Record the statements of this process, whichever pool or library sends them."""
    found = Statements()
    connection: Any = asyncpg.Connection
    execute, script = connection._execute, connection.execute

    async def counted(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if not _is_look():
            found.seen.append(query)
        return await execute(self, query, *args, **more)

    async def counted_script(self: Any, query: str, *args: Any, **more: Any) -> Any:
        if not args:  # with arguments asyncpg uses `_execute`
            found.seen.append(query)
        return await script(self, query, *args, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connection, "_execute", counted)
        patch.setattr(connection, "execute", counted_script)
        yield found
