"""All of it or none of it, jobs too; and a connection is always given back."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from db import engine, jobs
from db.jobs import Job
from db.transaction import transaction
from domain.payments import PaymentStatus
from tests.support.database import a_kept_payment, unique

pytestmark = pytest.mark.anyio


async def test_a_commit_that_fails_gives_its_connection_back(kept: str) -> None:
    await engine.connect(kept, pool_size=2)
    try:
        payment = await a_kept_payment()
        for _ in range(3):
            with pytest.raises(asyncpg.RaiseError, match="posted to the ledger"):
                async with transaction():
                    await engine.execute(
                        "update payment set status = $2, version = version + 1 where id = $1",
                        payment.id,
                        PaymentStatus.SUCCESS,
                    )
        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(engine.fetchval("select 1") for _ in range(4)))
            async with transaction():
                answers.append(await engine.fetchval("select 1"))
        assert answers == [1] * 5
    finally:
        await engine.disconnect()


async def test_a_task_that_is_cancelled_gives_its_connection_back(kept: str) -> None:
    await engine.connect(kept, pool_size=2)
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


@pytest.mark.parametrize("give_up", ["during BEGIN", "at any moment"])
async def test_whoever_gives_up_before_the_transaction_began_gives_the_connection_back(
    kept: str, give_up: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.connect(kept, pool_size=2)
    begin = engine.Transaction.begin
    beginning = asyncio.Event()

    async def seen(self: engine.Transaction) -> None:
        beginning.set()
        await begin(self)

    monkeypatch.setattr(engine.Transaction, "begin", seen)

    async def work() -> None:
        async with transaction():
            await engine.execute("select 1")

    try:
        for turn in range(50):
            beginning.clear()
            task = asyncio.create_task(work())
            if give_up == "during BEGIN":
                async with asyncio.timeout(20):
                    await beginning.wait()
            else:
                for _ in range(turn % 12):
                    await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        both = asyncio.Barrier(2)

        async def together() -> int:
            async with transaction():
                await both.wait()
                return await engine.fetchval("select 1")

        async with asyncio.timeout(20):
            assert await asyncio.gather(together(), together()) == [1, 1]
            assert await engine.fetchval("select 1") == 1, "nothing is left of a lost transaction"
    finally:
        async with asyncio.timeout(20):
            await engine.disconnect()


async def test_a_begin_that_fails_gives_its_connection_back(
    kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await engine.connect(kept, pool_size=2)

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
async def test_a_job_of_what_was_rolled_back_does_not_exist(owner: asyncpg.Connection) -> None:
    lost, kept = unique("TXN_"), unique("TXN_")

    async def fail() -> None:
        async with transaction():
            await jobs.enqueue([Job(name="follow_up", subject=lost)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with transaction():
        await jobs.enqueue([Job(name="follow_up", subject=kept)])
        await jobs.enqueue([])
    rows = await owner.fetch("select payload from pgqueuer")
    assert {jobs.subject(row["payload"]) for row in rows} >= {kept}
    assert lost not in {jobs.subject(row["payload"]) for row in rows}


@pytest.mark.usefixtures("connected")
async def test_a_job_cannot_be_enqueued_outside_a_transaction() -> None:
    with pytest.raises(AssertionError):
        await jobs.enqueue([Job(name="follow_up", subject="TXN_1")])


@pytest.mark.usefixtures("connected")
async def test_the_application_acts_as_the_lesser_role_in_utc() -> None:
    row = await engine.fetchrow("select current_user as who, current_setting('timezone') as zone")
    assert row is not None
    assert (row["who"], row["zone"]) == (engine.APPLICATION_ROLE, "UTC")
