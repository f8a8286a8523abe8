"""The scheduler: it obeys its schedule, tells a blocked statement from a slow one, and repeats."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from db import engine
from db.transaction import transaction
from tests.schedules.schedule import (
    Schedule,
    shortened,
    with_one_preemption,
    with_two_preemptions,
)
from tests.schedules.scheduler import Ran, run_schedule
from tests.schedules.seam import Work

pytestmark = pytest.mark.anyio


@pytest.fixture
async def rows(fresh_database: str) -> AsyncIterator[None]:
    """A table with the rows 1 and 2, each 0, in the database that the engine is connected to."""
    await engine.connect(fresh_database, role=None)
    await engine.execute("create table number (id int primary key, value int)")
    await engine.execute("insert into number values (1, 0), (2, 0)")
    yield
    await engine.disconnect()


async def add_to(*ids: int) -> None:
    async with transaction():
        for number in ids:
            await engine.execute("update number set value = value + 1 where id = $1", number)


async def read_then_write() -> None:
    value = await engine.fetchval("select value from number where id = 1")
    await engine.execute("update number set value = $1 where id = 1", value + 1)


async def run(schedule: str, *acts: Work) -> Ran:
    return await run_schedule(acts, Schedule.parse(schedule))


async def value() -> int:
    return await engine.fetchval("select value from number where id = 1")


def order(ran: Ran) -> str:
    """Return the letters of the operations, in the order of their steps."""
    return "".join(step[0] for step in ran.trace)


@pytest.mark.parametrize(
    ("schedule", "steps", "result"),
    [("ab", "aabb", 2), ("a1b", "abba", 1), ("b1a", "baab", 1), ("a1b1a", "abab", 1)],
)
async def test_a_schedule_decides_every_step(
    rows: None, schedule: str, steps: str, result: int
) -> None:
    ran = await run(schedule, read_then_write, read_then_write)
    assert order(ran) == steps
    assert await value() == result
    assert ran.steps == {"a": 2, "b": 2}


async def test_a_statement_that_waits_for_a_lock_passes_its_turn_on(rows: None) -> None:
    ran = await run("a2b", lambda: add_to(1), lambda: add_to(1))
    # The first holds the row; the second begins, waits, and continues after the first's commit.
    assert order(ran) == "aabbab"
    assert ran.blocked == 1
    assert await value() == 2


async def test_a_slow_statement_is_not_blocked(rows: None) -> None:
    async def slow() -> None:
        await engine.execute("select pg_sleep(0.3)")

    ran = await run("a1b", lambda: add_to(1), slow)
    assert ran.blocked == 0
    assert order(ran) == "abaa"


async def test_a_lock_that_no_operation_holds_is_waited_for(rows: None) -> None:
    """A statement that waits for a third party is slow, and its turn is not passed on."""
    holder = await engine.own_connection()
    try:
        outer = holder.transaction()
        await outer.start()
        await holder.execute("update number set value = 5 where id = 1")
        running = asyncio.ensure_future(run("ab", lambda: add_to(1), lambda: add_to(2)))
        waiting = """
            select count(*) from pg_stat_activity
             where pg_backend_pid() = any(pg_blocking_pids(pid))
        """
        while not await holder.fetchval(waiting):
            pass
        await outer.commit()
        ran = await running
    finally:
        await holder.close()
    assert ran.blocked == 0
    assert order(ran) == "aaabbb"


async def test_a_deadlock_ends_as_postgresql_ends_it(rows: None) -> None:
    ran = await run("a2b", lambda: add_to(1, 2), lambda: add_to(2, 1))
    assert [type(result).__name__ for result in ran.results].count("DeadlockDetectedError") == 1
    assert await value() == 1


async def test_a_schedule_repeats_itself(rows: None) -> None:
    traces = [
        (await run("a2b1a1b", lambda: add_to(1, 2), lambda: add_to(1, 2))).trace for _ in range(3)
    ]
    assert traces[0] == traces[1] == traces[2]


# ── the string ───────────────────────────────────────────────────────────────────────────────────


def test_a_schedule_is_a_short_string() -> None:
    assert str(Schedule.parse("a5b2a")) == "a5b2a"
    with pytest.raises(ValueError, match="not a schedule"):
        Schedule.parse("a5,b")


def test_one_preemption_is_everywhere() -> None:
    schedules = with_one_preemption({"a": 3, "b": 2})
    assert [str(schedule) for schedule in schedules] == ["a", "a1b", "a2b", "b", "b1a"]


def test_two_preemptions_are_drawn_of_all_operations() -> None:
    dice = random.Random(1)
    drawn = [with_two_preemptions({"a": 4, "b": 4, "c": 4}, dice) for _ in range(200)]
    assert {schedule.preemptions for schedule in drawn} == {2}
    assert {turn[0] for schedule in drawn for turn in schedule.turns} == set("abc")


async def test_a_failing_schedule_is_shortened() -> None:
    async def fails(schedule: Schedule) -> bool:
        return any(name == "b" and steps >= 3 for name, steps in schedule.turns)

    assert str(await shortened(Schedule.parse("a5b9a4b2"), fails)) == "b3"
