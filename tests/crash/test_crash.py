"""
Whatever step a process dies at, the money is right once a new one has had its time.

`make crash` kills at every step of every flow; otherwise a few are drawn (tests/support/proof.py).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from mobinet.settings import Settings
from tests.crash.flows import FLOWS
from tests.crash.harness import Harness, Kill, loaded
from tests.support.databases import given_server
from tests.support.proof import ALL, REPEAT, SEED, share
from tests.support.running_api import Sandbox

pytest_plugins = ["tests.support.running_api"]

SHARE = 8  # flows, and of each so many kills, where not all are asked for
KILLS = 2
TOGETHER = [[flow] for flow in FLOWS] if ALL else [share(list(FLOWS), SHARE, "flows")]


@pytest.fixture(scope="module")
def harness(
    api_settings: Settings,
    sandbox: Sandbox,
    module_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Harness]:
    folder = tmp_path_factory.mktemp("crash")
    with loaded(api_settings, sandbox, module_database, folder, seed=SEED) as harness:
        yield harness


@pytest.mark.parametrize("flows", TOGETHER, ids=lambda flows: flows[0] if ALL else "a share")
def test_no_step_is_one_at_which_dying_costs_money(harness: Harness, flows: list[str]) -> None:
    begun = time.monotonic()
    recorded = harness.record(flows)
    kills = [
        kill for flow in flows for kill in share(Kill.all({flow: recorded[flow]}), KILLS, flow)
    ]
    killed = harness.kill(kills)
    hit = {item.kill for item in killed if item.died}
    harness.aftermath(killed)
    wrong = harness.violations() + harness.victims[0].order("verify")["broken"]
    print(
        f"\n{', '.join(flows)}: {sum(map(len, recorded.values()))} steps,"
        f" {len(hit)} of {len(kills)} killed, {len(wrong)} violations,"
        f" {time.monotonic() - begun:.1f} s, {REPEAT}"
    )
    assert wrong == [], REPEAT
    # A sealer that met others' rows when it was recorded took steps that none takes after it.
    alive = [str(kill) for kill in kills if kill not in hit]
    assert len(alive) <= (2 if "sealing" in flows else 0), alive


# ── that it would be found ───────────────────────────────────────────────────────────────────────


def commit_of(steps: list[str], nth: int) -> int:
    return [at for at, step in enumerate(steps, start=1) if step.startswith("sql COMMIT")][nth]


def test_a_job_enqueued_after_its_commit_is_found(harness: Harness) -> None:
    (steps,) = harness.record(["cash"]).values()
    at = commit_of(steps, -1)
    # The planted fault takes the job's statement out of the transaction: its commit comes one earlier.
    (killed,) = harness.kill(
        [Kill("cash", at - 1, "after", "COMMIT")], plant="jobs after the commit"
    )
    assert killed.died
    harness.victims[0].order("recover")
    wrong = harness.violations()
    assert any(item.startswith("every success is recorded") for item in wrong), wrong


def test_a_gateway_asked_before_the_commit_is_found(harness: Harness) -> None:
    (steps,) = harness.record(["qr"]).values()
    at = commit_of(steps, 0)
    before = {charge["reference"] for charge in harness.sandbox.truth["charges"]}
    # The planted call is one step more before the commit.
    (killed,) = harness.kill(
        [Kill("qr", at + 1, "before", "COMMIT")], plant="charge before the commit"
    )
    assert killed.died
    (new,) = {charge["reference"] for charge in harness.sandbox.truth["charges"]} - before
    harness.sandbox.pay(reference=new, drop_webhook=True)
    harness.victims[0].order("recover")
    assert [violation for violation in harness.violations() if new in violation]


# ── that no step is missed ───────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(bool(given_server()), reason="the log of another's server is not ours to read")
@pytest.mark.parametrize("flow", share(list(FLOWS), 4, "logs"))
def test_the_steps_are_what_the_servers_themselves_have_seen(
    harness: Harness, module_database: str, shared_folder: Path, flow: str
) -> None:
    """PostgreSQL's log of this database, and the sandbox's of its requests, know of no other."""
    log = shared_folder / "embedded" / "postgres.log"
    asyncio.run(_log_statements(module_database))
    (subject,) = harness.subjects([flow])
    asked, written = harness.sandbox.last_request, log.stat().st_size
    steps = harness.victims[0].order("act", subject=subject)["steps"]
    with log.open("rb") as file:
        file.seek(written)
        lines = file.read().decode(errors="replace").splitlines()
    seen = [line for line in lines if "LOG:  statement: " in line or "LOG:  execute " in line]
    (begin, end) = (
        next(at for at, line in enumerate(seen) if mark in line)
        for mark in ("the act begins", "the act ends")
    )
    assert len(seen[begin + 1 : end]) == sum(step.startswith("sql") for step in steps)
    calls = [step for step in steps if step.startswith("http")]
    assert len(harness.sandbox.requests(since=asked)) == len(calls)


async def _log_statements(database: str) -> None:
    connection = await asyncpg.connect(database)
    name = urlsplit(database).path.removeprefix("/")
    await connection.execute(f"alter database {name} set log_statement = 'all'")
    await connection.close()
