"""The worker checks changed rows each minute, and all rows when that is due."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from db import engine
from db.invariants import checks as stored_checks
from domain.invariants import InvariantName
from domain.methods import PaymentMethod
from integrations.heads import Heads
from resolvers import invariants, sealing
from resolvers.context import Context
from tests.support.backend import Backend

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


async def watch_and_find_broken(context: Context) -> set[InvariantName]:
    await invariants.watch(context)
    return {name for name, found in (await stored_checks.latest()).items() if not found.holds}


async def as_owner(database: str, statement: str) -> None:
    owner = await asyncpg.connect(database)
    try:
        await owner.execute(f"set session_replication_role = replica; {statement}")
    finally:
        await owner.close()


async def test_a_change_is_found_within_a_minute_and_stays_until_a_full_check(
    backend: Backend, module_database: str, tmp_path: Path
) -> None:
    context = replace(backend.context, heads=Heads(tmp_path / "heads.log"))
    by = await backend.collector()
    assert await watch_and_find_broken(context) == set(), "the first check covers all rows"
    cash = await backend.new_payment(by, PaymentMethod.CASH)
    await sealing.seal(context)
    backend.clock.move(minutes=1)
    assert await watch_and_find_broken(context) == set(), "later checks cover changed rows"
    about = f"where entry = (select id from entry where payment = '{cash.id}')"
    await as_owner(module_database, f"update posting set amount = amount + 1 {about}")
    backend.clock.move(minutes=1)
    found = {InvariantName.LEDGER_AS_WRITTEN, InvariantName.SUCCESS_IS_POSTED}
    assert found <= await watch_and_find_broken(context)
    await as_owner(module_database, f"update posting set amount = amount - 1 {about}")
    backend.clock.move(minutes=1)
    assert found <= await watch_and_find_broken(context), "a part cannot show that the whole holds"
    backend.clock.move(minutes=10)
    assert await watch_and_find_broken(context) == set()
    names = await engine.fetchval(
        "select count(*) from invariant where fully_checked_at is not null"
    )
    assert names == len(invariants.ALWAYS)
