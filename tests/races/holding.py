"""A row that is held until everyone who is to race stands before it, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from db import engine

WAITING = """
    select count(*) from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and pid <> pg_backend_pid()
"""


async def one_after_the_other(
    payment_id: str, acts: Sequence[Callable[[], Awaitable[Any]]]
) -> list[Any]:
    """
    Start all acts while the payment's row is held; each begins when the one before waits, or is done.

    PostgreSQL lets those who wait for a row through in the order in which they came. What an act
    raises is returned in its place.
    """
    holder, watcher = await engine.own_connection(), await engine.own_connection()
    tasks: list[asyncio.Task[Any]] = []
    try:
        async with holder.transaction():
            await holder.execute("select 1 from payment where id = $1 for update", payment_id)
            for act in acts:
                before = await watcher.fetchval(WAITING)
                tasks.append(asyncio.ensure_future(act()))
                while not tasks[-1].done() and await watcher.fetchval(WAITING) == before:
                    pass
            standing = [task for task in tasks if not task.done()]
            assert await watcher.fetchval(WAITING) == len(standing), "each of them waits for a row"
        return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await holder.close()
        await watcher.close()
