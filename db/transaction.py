"""`async with transaction():` commits all of its block or nothing. Never nested."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from db.engine import DB


@asynccontextmanager
async def transaction() -> AsyncGenerator[None]:
    """Run the block in one transaction, without network calls or gather inside."""
    async with DB.transaction():
        yield


def connection() -> Any:
    """Return the current transaction's connection, for libraries that write in it."""
    current: Any = DB.current_transaction.get()
    assert current is not None, "call it only inside `async with transaction():`"
    return current.connection
