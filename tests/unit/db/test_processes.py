"""A process is alive while its connection lives."""

from __future__ import annotations

import asyncpg
import pytest

from db import processes

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]


async def test_a_process_is_alive_while_it_runs_and_dead_when_it_ended() -> None:
    async with processes.hold_process_number() as first, processes.hold_process_number() as second:
        assert first != second
        assert await processes.is_alive(first)
        assert await processes.is_alive(second)
    assert not await processes.is_alive(first)


async def test_a_process_that_is_killed_is_dead_at_once(owner: asyncpg.Connection) -> None:
    async with processes.hold_process_number() as number:
        await owner.fetchval(
            "select pg_terminate_backend(pid, 5000) from pg_locks"
            " where locktype = 'advisory' and objid = $1"
            " and database = (select oid from pg_database where datname = current_database())",
            number,
        )
        assert not await processes.is_alive(number)


async def test_another_advisory_lock_is_not_a_process(owner: asyncpg.Connection) -> None:
    await owner.execute("select pg_advisory_lock(777000111)")
    assert not await processes.is_alive(777_000_111)
