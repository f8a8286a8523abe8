"""The embedded servers start with the first user and stop with the last, however users end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from integrations.embedded import Servers, attach, binaries, servers, wait_until_stopped
from integrations.embedded.keeper import _fits
from integrations.embedded.process import lesser_account

ROOT = Path(__file__).parents[3]
USER = """
import dataclasses, json, sys
from pathlib import Path
from integrations.embedded import servers
with servers(Path(sys.argv[1])) as running:
    print(json.dumps(dataclasses.asdict(running)), flush=True)
    sys.stdin.read()
"""


class User:
    """A process that uses the servers until it leaves or is killed."""

    def __init__(self, data_dir: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )

    def running(self) -> Servers:
        assert self.process.stdout
        return Servers(**json.loads(self.process.stdout.readline()))

    def leave(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


Start = Callable[[], User]


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def start(data_dir: Path) -> Iterator[Start]:
    started: list[User] = []

    def start() -> User:
        started.append(User(data_dir))
        return started[-1]

    yield start
    for user in started:
        if user.process.poll() is None:
            user.kill()
    wait_until_stopped(data_dir)


@contextlib.contextmanager
def ends(*pids: int, within: float = 20.0) -> Iterator[None]:
    """Check that these processes end, which need not be our children."""
    handles = [os.pidfd_open(pid) for pid in pids]
    yield
    deadline = time.monotonic() + within
    for handle in handles:
        with open(handle) as watched:
            assert select.select([watched], [], [], max(0, deadline - time.monotonic()))[0], (
                "a process did not end"
            )


async def works(running: Servers) -> bool:
    connection = await asyncpg.connect(running.postgres_url)
    try:
        name = await connection.fetchval("SELECT current_database()")
    finally:
        await connection.close()
    with redis.Redis.from_url(running.valkey_url) as client:
        return name == "mobinet" and bool(client.ping())


async def test_both_servers_stop_when_the_last_user_leaves(start: Start) -> None:
    user = start()
    running = user.running()
    assert await works(running)
    with ends(running.keeper_pid, running.postgres_pid, running.valkey_pid):
        user.leave()


def test_both_servers_stop_when_the_last_user_is_killed(start: Start) -> None:
    user = start()
    running = user.running()
    with ends(running.keeper_pid, running.postgres_pid, running.valkey_pid):
        user.kill()


async def test_a_user_that_ends_does_not_stop_the_servers_of_others(start: Start) -> None:
    first, second = start(), start()
    running = second.running()
    assert first.running() == running
    first.kill()
    assert await works(running)


def test_eight_users_at_once_share_the_servers(start: Start) -> None:
    users = [start() for _ in range(8)]
    assert len({user.running() for user in users}) == 1


def test_servers_end_when_the_keeper_is_killed(start: Start) -> None:
    running = start().running()
    with ends(running.postgres_pid, running.valkey_pid):
        os.kill(running.keeper_pid, signal.SIGKILL)


async def test_after_a_killed_keeper_new_servers_start_at_the_same_address(
    start: Start, data_dir: Path
) -> None:
    before = start().running()
    with ends(before.keeper_pid):
        os.kill(before.keeper_pid, signal.SIGKILL)
    after = attach(data_dir)
    assert after.keeper_pid != before.keeper_pid
    assert (after.postgres_url, after.valkey_url) == (before.postgres_url, before.valkey_url)
    assert await works(after)


@pytest.mark.parametrize("which", ["postgres_pid", "valkey_pid"])
async def test_the_keeper_restarts_a_killed_server(
    start: Start, data_dir: Path, which: str
) -> None:
    before = start().running()
    os.kill(getattr(before, which), signal.SIGKILL)
    deadline = time.monotonic() + 30
    while getattr(attach(data_dir), which) == getattr(before, which):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert await works(attach(data_dir))


def test_a_user_that_starts_as_the_last_one_leaves_gets_servers(start: Start) -> None:
    for _ in range(4):
        user = start()
        user.running()
        coming = start()
        user.kill()
        assert coming.running().postgres_pid
        coming.kill()


async def test_written_data_survive_a_restart(start: Start) -> None:
    user = start()
    connection = await asyncpg.connect(user.running().postgres_url)
    await connection.execute(
        "CREATE TABLE written (text text); INSERT INTO written VALUES ('Vượt quá hạn mức')"
    )
    await connection.close()
    user.kill()
    connection = await asyncpg.connect(start().running().postgres_url)
    assert await connection.fetchval("SELECT text FROM written") == "Vượt quá hạn mức"
    await connection.close()


async def test_the_settings_are_those_that_we_rely_on(start: Start) -> None:
    connection = await asyncpg.connect(start().running().postgres_url)
    names = (
        "max_connections",
        "synchronous_commit",
        "TimeZone",
        "listen_addresses",
        "server_encoding",
        "fsync",
    )
    assert [await connection.fetchval(f"SHOW {name}") for name in names] == [
        "100",
        "on",
        "UTC",
        "",
        "UTF8",
        "on",
    ]
    await connection.close()


async def test_a_folder_with_a_long_name_works(tmp_path: Path) -> None:
    deep = tmp_path / ("long-" * 20)
    assert not _fits(deep)
    with servers(deep) as running:
        assert await works(running)
        assert len(running.valkey_url) < 107
    wait_until_stopped(deep)


@pytest.mark.skipif(os.geteuid() != 0, reason="only the servers of root run as another account")
def test_programs_that_the_account_nobody_cannot_reach_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "anyone_may_run", lambda program: False)
    monkeypatch.setattr(binaries, "shared_folder", lambda: tmp_path)
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        folder.chmod(0o755)
    found = binaries.find()
    assert found.postgres.is_relative_to(tmp_path)
    for program in (found.postgres / "postgres", found.valkey):
        version = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True, **lesser_account()
        )
        assert "PostgreSQL" in version.stdout or "v=9" in version.stdout
