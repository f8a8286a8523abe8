"""A transaction commits all or nothing, jobs too, and always returns its connection."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from db import engine, jobs
from db.jobs import Job
from db.transaction import transaction
from domain.payments import PaymentStatus
from tests.support.database import add_payment, unique

pytestmark = pytest.mark.anyio


async def test_a_failed_commit_returns_its_connection(module_database: str) -> None:
    await engine.connect(module_database, pool_size=2)
    try:
        payment = await add_payment()
        for _ in range(3):
            with pytest.raises(asyncpg.RaiseError, match="posted to the ledger"):
                async with transaction():
                    await engine.execute(
                        "update payment set status = $2, version = version + 1 where id = $1",
                        payment.id,
                        PaymentStatus.SUCCESS,
                    )
        async with asyncio.timeout(20):
            results = await asyncio.gather(*(engine.fetchval("select 1") for _ in range(4)))
            async with transaction():
                results.append(await engine.fetchval("select 1"))
        assert results == [1] * 5
    finally:
        await engine.disconnect()


async def test_a_cancelled_task_returns_its_connection(module_database: str) -> None:
    await engine.connect(module_database, pool_size=2)
    try:
        for _ in range(3):
            inside = asyncio.Event()

            async def wait(inside: asyncio.Event = inside) -> None:
                async with transaction():
                    await engine.execute("select 1")
                    inside.set()
                    await engine.execute("select pg_sleep(60)")

            task = asyncio.create_task(wait())
            await inside.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(20):
            assert await engine.fetchval("select 1") == 1
            async with transaction():
                assert await engine.fetchval("select 1") == 1
    finally:
        await engine.disconnect()


@pytest.mark.parametrize("cancel", ["during BEGIN", "at any moment"])
async def test_a_task_that_is_cancelled_before_the_transaction_began_returns_its_connection(
    module_database: str, cancel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.connect(module_database, pool_size=2)
    begin = engine.Transaction.begin
    beginning = asyncio.Event()

    async def recording_begin(self: engine.Transaction) -> None:
        beginning.set()
        await begin(self)

    monkeypatch.setattr(engine.Transaction, "begin", recording_begin)

    async def work() -> None:
        async with transaction():
            await engine.execute("select 1")

    try:
        for turn in range(50):
            beginning.clear()
            task = asyncio.create_task(work())
            if cancel == "during BEGIN":
                async with asyncio.timeout(20):
                    await beginning.wait()
            else:
                for _ in range(turn % 12):
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        both_begun = asyncio.Barrier(2)

        async def begin_and_wait() -> int:
            async with transaction():
                await both_begun.wait()
                return await engine.fetchval("select 1")

        async with asyncio.timeout(20):
            assert await asyncio.gather(begin_and_wait(), begin_and_wait()) == [1, 1]
            assert await engine.fetchval("select 1") == 1, "no lost transaction is current"
    finally:
        async with asyncio.timeout(20):
            await engine.disconnect()


async def test_a_failed_begin_returns_its_connection(
    module_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.connect(module_database, pool_size=2)

    async def fails(_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError

    try:
        with monkeypatch.context() as patch:
            patch.setattr(engine.Transaction, "begin", fails)
            for _ in range(5):
                with pytest.raises(asyncpg.ConnectionDoesNotExistError):
                    async with asyncio.timeout(20), transaction():
                        pass
        async with asyncio.timeout(20), transaction():
            assert await engine.fetchval("select 1") == 1
    finally:
        await engine.disconnect()


@pytest.mark.usefixtures("connected")
async def test_a_job_is_rolled_back_with_its_transaction(owner: asyncpg.Connection) -> None:
    lost, committed = unique("TXN_"), unique("TXN_")

    async def fail() -> None:
        async with transaction():
            await jobs.enqueue([Job(name="follow_up", subject=lost)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with transaction():
        await jobs.enqueue([Job(name="follow_up", subject=committed)])
        await jobs.enqueue([])
    rows = await owner.fetch("select payload from pgqueuer")
    assert {jobs.subject(row["payload"]) for row in rows} >= {committed}
    assert lost not in {jobs.subject(row["payload"]) for row in rows}


@pytest.mark.usefixtures("connected")
async def test_a_job_cannot_be_enqueued_outside_a_transaction() -> None:
    with pytest.raises(AssertionError):
        await jobs.enqueue([Job(name="follow_up", subject="TXN_1")])


@pytest.mark.usefixtures("connected")
async def test_the_application_acts_as_its_own_role_in_utc() -> None:
    row = await engine.fetchrow("select current_user as who, current_setting('timezone') as zone")
    assert row is not None
    assert (row["who"], row["zone"]) == (engine.APPLICATION_ROLE, "UTC")
