"""
The fixtures of every test: databases and a Redis.

    database        a migrated scratch database of the pytest worker, for the whole session
    fresh_database  a migrated scratch database of one test, copied from the template
    empty_database  a database without tables
    database_url    the server of these databases
    redis_url       an empty logical database of a Redis, of the pytest worker
    shared_folder   a folder that all pytest workers of the session share

Both servers are embedded in a temporary folder and shared by all workers, unless
MOBINET_DATABASE_URL or MOBINET_REDIS_URL name others; there only databases called `mobinet_test_…`
are made and dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from integrations.embedded import Servers, servers, wait_until_stopped
from tests.support.databases import (
    copy_of,
    drop,
    given_server,
    given_url,
    make_template,
    new_name,
)
from tests.support.proof import REPEAT
from tests.support.skips import skip_lines

_FOLDER = "MOBINET_TEST_FOLDER"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # only the process that starts the workers
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="mobinet-test-")


def pytest_report_header() -> str:
    return f"tests/crash, tests/races, tests/schedules and tests/model draw random cases: {REPEAT}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if lines := skip_lines(terminalreporter.getreports("skipped")):
        terminalreporter.section("skipped")
        for line in lines:
            terminalreporter.write_line(line)


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and (named := os.environ.pop(_FOLDER, None)):
        folder = Path(named)
        if (server := given_server()) and (folder / "template").exists():
            asyncio.run(drop(server, (folder / "template").read_text()))
        wait_until_stopped(folder)
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    return Path(os.environ[_FOLDER])


@pytest.fixture(scope="session")
def embedded(shared_folder: Path) -> Iterator[Servers]:
    with servers(shared_folder) as running:
        yield running


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest) -> str:
    return given_server() or request.getfixturevalue("embedded").postgres_url


@pytest.fixture(scope="session")
def template(database_url: str, shared_folder: Path) -> str:
    """Return the name of a migrated database, which is made once per session and only copied."""
    note = shared_folder / "template"
    with (shared_folder / "template.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            name = new_name()
            asyncio.run(make_template(database_url, name))
            note.write_text(name)
    return note.read_text()


@pytest.fixture(scope="session")
def database(database_url: str, template: str) -> Iterator[str]:
    with copy_of(template, database_url) as url:
        yield url


@pytest.fixture
def fresh_database(database_url: str, template: str) -> Iterator[str]:
    with copy_of(template, database_url) as url:
        yield url


@pytest.fixture
def empty_database(database_url: str) -> Iterator[str]:
    with copy_of("template1", database_url) as url:
        yield url


@pytest.fixture(scope="session")
def redis_url(request: pytest.FixtureRequest, shared_folder: Path) -> Iterator[str]:
    server = given_url("REDIS") or request.getfixturevalue("embedded").valkey_url
    for number in range(1, 16):
        with contextlib.suppress(FileExistsError), (shared_folder / f"redis-{number}").open("x"):
            url = _logical(server, number)
            with redis.Redis.from_url(url) as client:
                if client.dbsize() == 0 and client.set("mobinet_test", "taken", nx=True):
                    yield url
                    client.flushdb()
                    return
    pytest.fail(
        "MOBINET_REDIS_URL: no logical database from 1 to 15 is empty; each worker needs one."
    )


def _logical(server: str, number: int) -> str:
    if server.startswith("unix:"):
        return f"{server}?db={number}"
    return urlsplit(server)._replace(path=f"/{number}").geturl()
