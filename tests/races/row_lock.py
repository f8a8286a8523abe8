"""A payment's row that stays locked until every racing task waits for it, in a known order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from db import engine

WAITING_SESSIONS = """
    select count(*) from pg_stat_activity
     where datname = current_database() and cardinality(pg_blocking_pids(pid)) > 0
"""
"""Counts the sessions that wait for another's lock, also while they look for a deadlock."""


async def one_after_the_other(
    payment_id: str, acts: Sequence[Callable[[], Awaitable[Any]]]
) -> list[Any]:
    """
    Start all acts while the payment's row is locked, each once the last one waits or is done.

    PostgreSQL serves the waiting sessions in the order in which they came. An act's exception is
    returned in place of its result.
    """
    holder, watcher = await engine.own_connection(), await engine.own_connection()
    tasks: list[asyncio.Task[Any]] = []
    try:
        async with holder.transaction():
            await holder.execute("select 1 from payment where id = $1 for update", payment_id)
            for act in acts:
                before = await watcher.fetchval(WAITING_SESSIONS)
                tasks.append(asyncio.ensure_future(act()))
                while not tasks[-1].done() and await watcher.fetchval(WAITING_SESSIONS) <= before:
                    pass
            waiting = [task for task in tasks if not task.done()]
            assert await watcher.fetchval(WAITING_SESSIONS) == len(waiting), (
                "each unfinished act waits for a row"
            )
        return await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await holder.close()
        await watcher.close()
