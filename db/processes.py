"""Which of our processes are alive: each holds its number as an advisory lock."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from db.engine import fetchval, own_connection

_LOCK_CLASS = 0x4D42  # the class id of these advisory locks


@asynccontextmanager
async def hold_process_number() -> AsyncGenerator[int]:
    """
    Yield this process's number, locked on a separate connection.

    The server frees the lock when the process or its connection dies. A repeated request is then
    answered from the database at once.
    """
    connection = await own_connection()
    try:
        number: int = await connection.fetchval("select nextval('process_number')")
        await connection.execute(f"select pg_advisory_lock({_LOCK_CLASS}, {number})")
        yield number
    finally:
        await connection.close(timeout=5)


async def is_alive(number: int) -> bool:
    """Return whether a process holds *number*."""
    return await fetchval(
        """
        select exists (
            select from pg_locks
             where locktype = 'advisory' and classid = $1 and objid = $2 and granted
               and database = (select oid from pg_database where datname = current_database()))
        """,
        _LOCK_CLASS,
        number,
    )
