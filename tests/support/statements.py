"""Counts the statements that this process sends to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest


@dataclass
class Statements:
    """The statements so far, in their order."""

    seen: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.seen)


@contextmanager
def statements() -> Iterator[Statements]:
    """Record the statements of this process, whichever pool or library sends them."""
    found = Statements()
    connection: Any = asyncpg.Connection
    execute, script = connection._execute, connection.execute

    async def counted(self: Any, query: str, *args: Any, **more: Any) -> Any:
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
