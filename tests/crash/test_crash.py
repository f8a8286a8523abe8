"""
At whatever step a process dies, the money is right after a new process has recovered.

`make crash` kills at every step of every flow; other runs draw a few (tests/support/proof.py).
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
from tests.crash.harness import Harness, Kill, running_harness
from tests.support.databases import given_server
from tests.support.proof import ALL, REPEAT, SEED, share
from tests.support.running_api import Sandbox

pytest_plugins = ["tests.support.running_api"]

DRAWN_FLOWS = 8
DRAWN_KILLS = 2  # of each flow
FLOWS_OF_A_RUN = [[flow] for flow in FLOWS] if ALL else [share(list(FLOWS), DRAWN_FLOWS, "flows")]


@pytest.fixture(scope="module")
def harness(
    api_settings: Settings,
    sandbox: Sandbox,
    module_database: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Harness]:
    folder = tmp_path_factory.mktemp("crash")
    with running_harness(api_settings, sandbox, module_database, folder, seed=SEED) as harness:
        yield harness


@pytest.mark.parametrize("flows", FLOWS_OF_A_RUN, ids=lambda flows: flows[0] if ALL else "a share")
def test_a_kill_at_any_step_loses_no_money(harness: Harness, flows: list[str]) -> None:
    started = time.monotonic()
    recorded = harness.record(flows)
    kills = [
        kill
        for flow in flows
        for kill in share(Kill.all({flow: recorded[flow]}), DRAWN_KILLS, flow)
    ]
    killed = harness.kill(kills)
    reached = {interrupted.kill for interrupted in killed if interrupted.died}
    harness.recover(killed)
    wrong = harness.violations() + harness.fork_servers[0].order("verify")["broken"]
    print(
        f"\n{', '.join(flows)}: {sum(map(len, recorded.values()))} steps,"
        f" {len(reached)} of {len(kills)} killed, {len(wrong)} violations,"
        f" {time.monotonic() - started:.1f} s, {REPEAT}"
    )
    assert wrong == [], REPEAT
    # A sealer that meets rows of others takes more steps, which a later one does not reach.
    missed = [str(kill) for kill in kills if kill not in reached]
    assert len(missed) <= (2 if "sealing" in flows else 0), missed


# ── planted faults are found ─────────────────────────────────────────────────────────────────────


def commit_of(steps: list[str], nth: int) -> int:
    return [at for at, step in enumerate(steps, start=1) if step.startswith("sql COMMIT")][nth]


def test_a_job_enqueued_after_its_commit_is_found(harness: Harness) -> None:
    (steps,) = harness.record(["cash"]).values()
    at = commit_of(steps, -1)
    # The planted fault takes the jobs out of their statement, and adds them after the commit.
    (killed,) = harness.kill([Kill("cash", at, "after", "COMMIT")], fault="jobs after the commit")
    assert killed.died
    harness.fork_servers[0].order("recover")
    wrong = harness.violations()
    assert any(violation.startswith("every success is recorded") for violation in wrong), wrong


@pytest.mark.invariant(10)
def test_a_charge_sent_before_the_commit_is_found(harness: Harness) -> None:
    (steps,) = harness.record(["qr"]).values()
    at = commit_of(steps, 0)
    before = {charge["reference"] for charge in harness.sandbox.truth["charges"]}
    # The planted fault adds one call before the commit.
    (killed,) = harness.kill(
        [Kill("qr", at + 1, "before", "COMMIT")], fault="charge before the commit"
    )
    assert killed.died
    (new,) = {charge["reference"] for charge in harness.sandbox.truth["charges"]} - before
    harness.sandbox.pay(reference=new, drop_webhook=True)
    harness.fork_servers[0].order("recover")
    assert [violation for violation in harness.violations() if new in violation]


# ── every step is numbered ────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(
    bool(given_server()), reason="the log of an external PostgreSQL is not readable"
)
@pytest.mark.parametrize("flow", share(list(FLOWS), 4, "logs"))
def test_the_servers_have_seen_the_numbered_steps_and_no_others(
    harness: Harness, module_database: str, shared_folder: Path, flow: str
) -> None:
    """Compare the steps with PostgreSQL's log and with the sandbox's list of requests."""
    log = shared_folder / "embedded" / "postgres.log"
    asyncio.run(_log_statements(module_database))
    (prepared,) = harness.prepare([flow])
    last_request, log_size = harness.sandbox.last_request, log.stat().st_size
    steps = harness.fork_servers[0].order("act", prepared=prepared)["steps"]
    with log.open("rb") as file:
        file.seek(log_size)
        lines = file.read().decode(errors="replace").splitlines()
    seen = [line for line in lines if "LOG:  statement: " in line or "LOG:  execute " in line]
    (begin, end) = (
        next(at for at, line in enumerate(seen) if mark in line)
        for mark in ("the act begins", "the act ends")
    )
    assert len(seen[begin + 1 : end]) == sum(step.startswith("sql") for step in steps)
    calls = [step for step in steps if step.startswith("http")]
    assert len(harness.sandbox.requests(since=last_request)) == len(calls)


async def _log_statements(database: str) -> None:
    connection = await asyncpg.connect(database)
    name = urlsplit(database).path.removeprefix("/")
    await connection.execute(f"alter database {name} set log_statement = 'all'")
    await connection.close()
