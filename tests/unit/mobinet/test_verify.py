"""`mobinet verify` as whoever is on call runs it: what it says, and what it ends with."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from domain.invariants import InvariantName
from integrations.heads import Heads
from mobinet.settings import Settings
from mobinet.verify import verify as verify_in_process
from resolvers import sealing
from tests.races.holding import WAITING
from tests.support.running_api import ROOT, Api

pytest_plugins = ["tests.support.running_api"]
Verify = Callable[..., "subprocess.CompletedProcess[str]"]

ASKED = [name for name in InvariantName if name is not InvariantName.SIGNATURES]


@pytest.fixture
def folder(api: Api, tmp_path: Path) -> Path:
    """The data directory, after a day of one cash payment that is sealed."""
    folder = tmp_path / "data"
    shutil.copytree(api.settings.data_dir, folder, ignore=shutil.ignore_patterns("heads.log"))
    context = replace(api.context, heads=Heads(folder / "heads.log"))
    api.paid(api.collector())
    while api.run(sealing.seal(context)):
        pass
    return folder


@pytest.fixture
def settings(api: Api, folder: Path) -> Settings:
    return api.settings.model_copy(update={"data_dir": folder})


@pytest.fixture
def verify(api: Api, folder: Path) -> Verify:
    """The command, as a process of its own."""
    given = {
        "MOBINET_DATABASE_URL": api.database,
        "MOBINET_REDIS_URL": "unix:///nobody/asks/it",
        "MOBINET_DATA_DIR": str(folder),
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mobinet", "verify", *options],
            cwd=ROOT, env=clean | given, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip

    return run


async def as_owner(database: str, statement: str) -> None:
    owner = await asyncpg.connect(database)
    try:
        await owner.execute(f"set session_replication_role = replica; {statement}")
    finally:
        await owner.close()


def test_it_ends_well_where_all_holds_and_names_the_row_where_something_does_not(
    api: Api, verify: Verify
) -> None:
    done = verify("--signatures")
    assert (done.returncode, done.stderr) == (0, "")
    assert "All holds." in done.stdout
    assert all(f"ok   {name}" in done.stdout for name in InvariantName)

    (last,) = api.rows("select max(id) as id from posting")
    asyncio.run(as_owner(api.database, f"update posting set amount = amount + 1 where id = {last['id']}"))  # fmt: skip
    try:
        done = verify()
        assert done.returncode == 1
        assert f"posting {last['id']}: is not as audit row" in done.stdout
        assert "do not hold" in done.stdout
        told = verify("--json")
        assert told.returncode == 1
    finally:
        asyncio.run(as_owner(api.database, f"update posting set amount = amount - 1 where id = {last['id']}"))  # fmt: skip
    said = json.loads(told.stdout)
    assert said["holds"] is False
    (found,) = [
        invariant
        for invariant in said["invariants"]
        if invariant["name"] == InvariantName.LEDGER_AS_WRITTEN
    ]
    assert found["violations"] == 1
    assert found["rows"][0]["row"] == str(last["id"])


def test_it_says_the_same_for_programs(verify: Verify) -> None:
    done = verify("--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert said["holds"] is True
    assert [invariant["name"] for invariant in said["invariants"]] == ASKED


# ── two lanes ────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def held(database: str, *tables: str) -> AsyncGenerator[Any]:
    """Hold the tables against every reader, and yield the connection that does."""
    owner = await asyncpg.connect(database)
    try:
        async with owner.transaction():
            await owner.execute(f"lock {', '.join(tables)}")
            yield owner
    finally:
        await owner.close()


def test_one_lane_finds_all_else_while_the_other_waits_and_then_nothing_is_missing(
    api: Api, settings: Settings
) -> None:
    said: list[str] = []
    all_else = asyncio.Event()

    def say(line: str) -> None:
        said.append(line)
        if len(said) == len(ASKED) - 1:
            all_else.set()

    async def one_waits() -> bool:
        async with asyncio.timeout(40):
            async with held(api.database, "staff_limit"):
                work = verify_in_process(settings, signatures=False, as_json=False, say=say)
                proving = asyncio.create_task(work)
                await all_else.wait()
            return await proving

    assert asyncio.run(one_waits())
    *lines, last = said
    found = [name for line in lines for name in ASKED if f" {name} " in line]
    assert (sorted(found), found[-1]) == (sorted(ASKED), InvariantName.LIMITS)
    assert "All holds." in last


def test_a_lost_connection_ends_it_at_once_and_nothing_is_said_to_hold(
    api: Api, verify: Verify
) -> None:
    async def one_is_lost() -> subprocess.CompletedProcess[str]:
        async with held(api.database, "audit_link", "payment_record") as owner:
            ending = asyncio.create_task(asyncio.to_thread(verify))
            async with asyncio.timeout(30):
                while await owner.fetchval(WAITING) < 2:
                    await owner.execute("select pg_stat_clear_snapshot()")
            await owner.execute(WAITING.replace("count(*)", "pg_terminate_backend(min(pid))"))
            return await ending

    done = asyncio.run(one_is_lost())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Not everything was checked (")
    assert "administrator command" in done.stderr
