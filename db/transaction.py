"""`async with transaction():` all of it, or none of it. Never nested, no network inside, no gather."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from db.engine import DB


@asynccontextmanager
async def transaction() -> AsyncGenerator[None]:
    async with DB.transaction():
        yield


def connection() -> Any:
    """Return the current transaction's connection, for a library that enqueues in it."""
    current: Any = DB.current_transaction.get()
    assert current is not None, "only inside `async with transaction():`"
    return current.connection
