"""Any number of writers and sealers make one chain; rows of open transactions are not skipped."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from db import engine
from domain.chain import BEGINNING, sealed_text
from integrations.heads import Heads
from resolvers import sealing
from resolvers.context import Context
from tests.support.backend import Backend
from tests.support.databases import other_tests_are_done, writer

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

WRITE = """
insert into audit_event (at, actor, action, outcome, details)
values (clock_timestamp(), 'NV001', $1, 'DONE', '{}') returning id
"""


@pytest.fixture
def context(backend: Backend, tmp_path: Path) -> Context:
    return replace(backend.context, heads=Heads(tmp_path / "heads.log"))


async def seal_all(context: Context) -> int:
    await other_tests_are_done()
    count = 0
    while done := await sealing.seal(context):
        count += done
    return count


async def links() -> list[Any]:
    return list(
        await engine.fetch(
            "select l.*, e.action, e.txid from audit_link l join audit_event e on e.id = l.event"
            " order by number"
        )
    )


async def check_chain() -> None:
    """Check that numbers have no gap, links follow one another, and each row has one link."""
    found = await links()
    assert [row["number"] for row in found] == list(range(1, len(found) + 1))
    hashes = [BEGINNING, *(row["hash"] for row in found)]
    assert [row["prev_hash"] for row in found] == hashes[:-1]
    order = [(row["txid"], row["event"]) for row in found]
    assert order == sorted(order)
    assert await engine.fetchval("select count(*) from audit_event") == len(found)


async def test_audit_rows_are_linked_signed_and_their_head_is_published(context: Context) -> None:
    await engine.execute(WRITE, "one")
    await seal_all(context)
    await check_chain()
    seal = await engine.fetchrow("select * from seal order by id desc limit 1")
    assert seal is not None
    key = context.keys.receipts.find(seal["key_id"])
    assert key is not None
    text = sealed_text(seal["first"], seal["last"], seal["head"])
    assert key.verifies(seal["signature"], text)
    *_, head = context.heads.read()
    assert (head.number, head.hash) == (seal["last"], seal["head"])
    assert await sealing.seal(context) == 0, "nothing is new"


async def test_no_row_of_an_open_transaction_is_skipped(
    context: Context, module_database: str
) -> None:
    await seal_all(context)
    async with writer(module_database) as slow:
        open_ = slow.transaction()
        await open_.start()
        older = await slow.fetchval(WRITE, "slow")
        newer = await engine.fetchval(WRITE, "fast")
        assert await seal_all(context) == 0, "the fast one waits for the slow one"
        await open_.commit()
    assert await seal_all(context) == 2
    assert [row["event"] for row in (await links())[-2:]] == [older, newer]
    await check_chain()


async def test_a_transaction_that_ended_without_its_rows_leaves_no_gap(
    context: Context, module_database: str
) -> None:
    await seal_all(context)
    async with writer(module_database) as rolled_back:
        open_ = rolled_back.transaction()
        await open_.start()
        await rolled_back.fetchval(WRITE, "rolled back")
        row_id = await engine.fetchval(WRITE, "committed")
        await open_.rollback()
    assert await seal_all(context) == 1
    assert (await links())[-1]["event"] == row_id
    await check_chain()


async def test_fifty_writers_and_five_sealers_at_once_make_one_chain(
    context: Context, module_database: str
) -> None:
    written = asyncio.Event()

    async def write(number: int) -> None:
        async with writer(module_database) as connection:
            for round_ in range(8):
                async with connection.transaction():
                    await connection.fetchval(WRITE, f"w{number}")
                    if (number + round_) % 3:
                        await asyncio.sleep(0)
                        await connection.fetchval(WRITE, f"w{number}")

    async def seal_repeatedly() -> None:
        while not written.is_set():
            await sealing.seal(context, most=7)

    before = await engine.fetchval("select count(*) from audit_event")
    async with asyncio.TaskGroup() as sealers:
        for _ in range(5):
            sealers.create_task(seal_repeatedly())
        async with asyncio.TaskGroup() as writers:
            for number in range(50):
                writers.create_task(write(number))
        written.set()
    await seal_all(context)
    assert await engine.fetchval("select count(*) from audit_event") > before + 400
    await check_chain()


@pytest.mark.invariant(28)
async def test_a_chain_that_would_fork_is_refused_by_the_database(context: Context) -> None:
    await engine.execute(WRITE, "one")
    await seal_all(context)
    last = (await links())[-1]
    other = await engine.fetchval(WRITE, "other")
    with pytest.raises(asyncpg.UniqueViolationError):
        await engine.execute(
            "insert into audit_link (number, event, prev_hash, hash) values ($1, $2, $3, $4)",
            last["number"] + 1,
            other,
            last["prev_hash"],
            b"another",
        )
    await seal_all(context)


def test_a_line_that_a_crash_truncated_is_no_head(tmp_path: Path) -> None:
    path = tmp_path / "heads.log"
    path.write_text('{"number": 1, "head": "00"}\n{"number": 2, "he')
    assert [head.number for head in Heads(path).read()] == [1]
