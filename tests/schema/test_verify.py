"""`mobinet verify` as whoever is on call runs it: what it says, and what it ends with."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from domain.invariants import InvariantName
from integrations.heads import Heads
from resolvers import sealing
from tests.house import ROOT, Api

pytest_plugins = ["tests.house"]
Verify = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def verify(api: Api, tmp_path: Path) -> Verify:
    """The command, over a day of one cash payment that is sealed."""
    folder = tmp_path / "data"
    shutil.copytree(api.settings.data_dir, folder, ignore=shutil.ignore_patterns("heads.log"))
    context = replace(api.context, heads=Heads(folder / "heads.log"))
    api.paid(api.collector())
    while api.run(sealing.seal(context)):
        pass
    given = {
        "MOBINET_DATABASE_URL": api.database,
        "MOBINET_REDIS_URL": "unix:///nobody/asks/it",
        "MOBINET_DATA_DIR": str(folder),
    }
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MOBINET_")}

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "schema.cli", "verify", *options],
            cwd=ROOT, env=clean | given, capture_output=True, text=True, check=False,
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
    (found,) = [one for one in said["invariants"] if one["name"] == InvariantName.LEDGER_AS_WRITTEN]
    assert found["violations"] == 1
    assert found["rows"][0]["row"] == str(last["id"])


def test_it_says_the_same_for_programs(verify: Verify) -> None:
    done = verify("--json")
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert said["holds"] is True
    assert {one["name"] for one in said["invariants"]} == set(InvariantName) - {
        InvariantName.SIGNATURES
    }
