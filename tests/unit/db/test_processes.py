"""A process is alive as long as its connection is."""

from __future__ import annotations

import asyncpg
import pytest

from db import processes

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]


async def test_a_process_is_alive_while_it_runs_and_dead_when_it_left() -> None:
    async with processes.presence() as one, processes.presence() as other:
        assert one != other
        assert await processes.is_alive(one)
        assert await processes.is_alive(other)
    assert not await processes.is_alive(one)


async def test_a_process_that_is_killed_is_dead_at_once(owner: asyncpg.Connection) -> None:
    async with processes.presence() as number:
        await owner.fetchval(
            "select pg_terminate_backend(pid, 5000) from pg_locks"
            " where locktype = 'advisory' and objid = $1"
            " and database = (select oid from pg_database where datname = current_database())",
            number,
        )
        assert not await processes.is_alive(number)


async def test_a_lock_of_another_kind_is_no_process(owner: asyncpg.Connection) -> None:
    await owner.execute("select pg_advisory_lock(777000111)")
    assert not await processes.is_alive(777_000_111)
