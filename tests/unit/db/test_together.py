"""Reads of many requests as one statement."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Collection, Mapping

import pytest

from db.together import MOST_KEYS, Together

pytestmark = pytest.mark.anyio

MISSING = "missing"


class Table:
    """Answers each statement once it may, with the number of the statement."""

    def __init__(self) -> None:
        self.statements: list[list[str]] = []
        self.may_answer = asyncio.Event()
        self.error: Exception | None = None

    async def read(self, keys: Collection[str]) -> Mapping[str, int]:
        self.statements.append(list(keys))
        number = len(self.statements)
        await self.may_answer.wait()
        if self.error is not None:
            raise self.error
        return {key: number for key in keys if key != MISSING}


async def started(together: Together[str, int], *keys: str) -> list[asyncio.Task[int | None]]:
    tasks = [asyncio.create_task(together.get(key)) for key in keys]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_who_comes_while_a_statement_runs_shares_the_next_one() -> None:
    table = Table()
    together = Together(table.read)
    first = await started(together, "a")
    rest = await started(together, "b", "c", "b", "a")
    table.may_answer.set()
    assert await asyncio.gather(*first, *rest) == [1, 2, 2, 2, 2], "nobody gets an older answer"
    assert table.statements == [["a"], ["b", "c", "a"]]


async def test_a_lone_read_waits_for_nobody() -> None:
    table = Table()
    table.may_answer.set()
    together = Together(table.read)
    assert [await together.get(key) for key in ("a", MISSING, "a")] == [1, None, 3]


async def test_one_who_leaves_takes_nothing_from_others() -> None:
    table = Table()
    together = Together(table.read)
    leaving, staying = await started(together, "a", "a")
    leaving.cancel()
    await asyncio.wait([leaving])
    table.may_answer.set()
    assert await staying == 1


async def test_an_error_reaches_its_own_and_the_next_statement_is_made() -> None:
    table = Table()
    together = Together(table.read)
    failing = await started(together, "a", "b")
    table.error = ConnectionError("lost")
    table.may_answer.set()
    errors = await asyncio.gather(*failing, return_exceptions=True)
    assert [type(error) for error in errors] == [ConnectionError, ConnectionError]
    table.error = None
    assert await together.get("a") == len(table.statements)


async def test_a_statement_has_a_bounded_number_of_keys() -> None:
    table = Table()
    together = Together(table.read)
    keys = [str(number) for number in range(2 * MOST_KEYS + 2)]
    reads = await started(together, *keys)
    table.may_answer.set()
    await asyncio.gather(*reads)
    sizes = [len(statement) for statement in table.statements]
    assert max(sizes) <= MOST_KEYS
    assert sum(sizes) == len(keys)


async def test_a_statement_does_not_run_in_a_callers_context() -> None:
    """Or it would run in a caller's transaction."""
    transaction: contextvars.ContextVar[str] = contextvars.ContextVar("transaction")
    seen: list[str | None] = []

    async def read(keys: Collection[str]) -> Mapping[str, int]:
        seen.append(transaction.get(None))
        return dict.fromkeys(keys, 1)

    transaction.set("a caller's")
    assert await Together(read).get("a") == 1
    assert seen == [None]
