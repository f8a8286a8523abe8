"""Which of our processes are alive: each holds its number as an advisory lock while it lives."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from db.engine import fetchval, own_connection

_LOCKS = 0x4D42  # the class of these locks among all advisory locks of the database


@asynccontextmanager
async def presence() -> AsyncGenerator[int]:
    """
    Yield this process's number, held on a connection of its own.

    The server frees the lock when the process dies, however it dies. When only the connection is
    lost the process reads as dead: a repeated request is then answered from the database at once.
    """
    connection = await own_connection()
    try:
        number: int = await connection.fetchval("select nextval('process_number')")
        await connection.execute(f"select pg_advisory_lock({_LOCKS}, {number})")
        yield number
    finally:
        await connection.close(timeout=5)


async def is_alive(number: int) -> bool:
    return await fetchval(
        """
        select exists (
            select from pg_locks
             where locktype = 'advisory' and classid = $1 and objid = $2 and granted
               and database = (select oid from pg_database where datname = current_database()))
        """,
        _LOCKS,
        number,
    )
