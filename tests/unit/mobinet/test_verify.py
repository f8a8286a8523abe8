"""`mobinet verify` as an operator runs it: its output and its exit code."""

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
from tests.races.row_lock import WAITING_SESSIONS
from tests.support.running_api import ROOT, Api

pytest_plugins = ["tests.support.running_api"]
Verify = Callable[..., "subprocess.CompletedProcess[str]"]

CHECKED = [name for name in InvariantName if name is not InvariantName.SIGNATURES]


@pytest.fixture
def folder(api: Api, tmp_path: Path) -> Path:
    """Return a data directory after one cash payment, which is sealed."""
    folder = tmp_path / "data"
    shutil.copytree(api.settings.data_dir, folder, ignore=shutil.ignore_patterns("heads.log"))
    context = replace(api.context, heads=Heads(folder / "heads.log"))
    api.new_payment(api.collector())
    while api.run(sealing.seal(context)):
        pass
    return folder


@pytest.fixture
def settings(api: Api, folder: Path) -> Settings:
    return api.settings.model_copy(update={"data_dir": folder})


@pytest.fixture
def verify(api: Api, folder: Path) -> Verify:
    """Return a function that runs the command as a process."""
    settings = {
        "MOBINET_DATABASE_URL": api.database,
        "MOBINET_REDIS_URL": "unix:///nonexistent",
        "MOBINET_DATA_DIR": str(folder),
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mobinet", "verify", *options],
            cwd=ROOT, env=clean | settings, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip

    return run


async def tamper(database: str, statement: str) -> None:
    """Run a statement as the owner, with triggers off."""
    owner = await asyncpg.connect(database)
    try:
        await owner.execute(f"set session_replication_role = replica; {statement}")
    finally:
        await owner.close()


def test_it_succeeds_where_all_holds_and_else_names_the_violating_row(
    api: Api, verify: Verify
) -> None:
    done = verify("--signatures")
    assert (done.returncode, done.stderr) == (0, "")
    assert "All holds." in done.stdout
    assert all(f"ok   {name}" in done.stdout for name in InvariantName)

    (last,) = api.rows("select max(id) as id from posting")
    update = "update posting set amount = amount {} 1 where id = {}"
    asyncio.run(tamper(api.database, update.format("+", last["id"])))
    try:
        done = verify()
        assert done.returncode == 1
        assert f"posting {last['id']}: is not as audit row" in done.stdout
        assert "do not hold" in done.stdout
        as_json = verify("--json")
        assert as_json.returncode == 1
    finally:
        asyncio.run(tamper(api.database, update.format("-", last["id"])))
    report = json.loads(as_json.stdout)
    assert report["holds"] is False
    (violated,) = [
        invariant
        for invariant in report["invariants"]
        if invariant["name"] == InvariantName.LEDGER_AS_WRITTEN
    ]
    assert violated["violations"] == 1
    assert violated["rows"][0]["row"] == str(last["id"])


def test_it_reports_the_same_as_json(verify: Verify) -> None:
    done = verify("--json")
    assert done.returncode == 0
    report = json.loads(done.stdout)
    assert report["holds"] is True
    assert [invariant["name"] for invariant in report["invariants"]] == CHECKED


# ── two connections ──────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def lock_tables(database: str, *tables: str) -> AsyncGenerator[Any]:
    """Lock the tables against every reader, and yield the connection that does."""
    owner = await asyncpg.connect(database)
    try:
        async with owner.transaction():
            await owner.execute(f"lock {', '.join(tables)}")
            yield owner
    finally:
        await owner.close()


def test_one_connection_checks_the_rest_while_the_other_waits(api: Api, settings: Settings) -> None:
    output: list[str] = []
    rest_checked = asyncio.Event()

    def say(line: str) -> None:
        output.append(line)
        if len(output) == len(CHECKED) - 1:
            rest_checked.set()

    async def verify_with_a_locked_table() -> bool:
        async with asyncio.timeout(40):
            async with lock_tables(api.database, "staff_limit"):
                work = verify_in_process(settings, signatures=False, as_json=False, write_line=say)
                proving = asyncio.create_task(work)
                await rest_checked.wait()
            return await proving

    assert asyncio.run(verify_with_a_locked_table())
    *lines, last = output
    found = [name for line in lines for name in CHECKED if f" {name} " in line]
    assert (sorted(found), found[-1]) == (sorted(CHECKED), InvariantName.LIMITS)
    assert "All holds." in last


def test_a_lost_connection_ends_it_at_once_and_no_result_is_printed(
    api: Api, verify: Verify
) -> None:
    async def lose_a_connection() -> subprocess.CompletedProcess[str]:
        async with lock_tables(api.database, "audit_link", "payment_record") as owner:
            ending = asyncio.create_task(asyncio.to_thread(verify))
            async with asyncio.timeout(30):
                while await owner.fetchval(WAITING_SESSIONS) < 2:
                    await owner.execute("select pg_stat_clear_snapshot()")
            await owner.execute(
                WAITING_SESSIONS.replace("count(*)", "pg_terminate_backend(min(pid))")
            )
            return await ending

    done = asyncio.run(lose_a_connection())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("Not everything was checked (")
    assert "administrator command" in done.stderr
