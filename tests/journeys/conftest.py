"""
All journeys share one running stack; each has its own contract and collector.

Journeys run in parallel, so an ordered fault names its `path` and spares the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.databases import copy_of
from tests.support.stack.client import Client
from tests.support.stack.customers import Customer, new_collector, new_customer
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.processes import Process, Stack, shared_stack, started
from tests.support.stack.sandbox import Sandbox


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, shared_folder: Path) -> Iterator[Stack]:
    """
    Run the sandbox, two API processes behind one port, and a worker, over a database of their own.

    After the last journey `mobinet verify` must find nothing wrong.
    """
    folder = shared_folder / "journeys"

    @contextmanager
    def make() -> Iterator[Stack]:
        server: str = request.getfixturevalue("database_url")
        template: str = request.getfixturevalue("template")
        with copy_of(template, server) as database:
            redis: str = request.getfixturevalue("redis_url")
            new = Stack.create(folder, database_url=database, redis_url=redis)
            with new.running():
                yield new
            verified = new.run("verify", "--signatures")
            assert verified.returncode == 0, verified.stdout + verified.stderr

    with shared_stack(folder, make) as stack:
        yield stack


@pytest.fixture(scope="session")
def second_api(stack: Stack) -> Iterator[Process]:
    """Run a second API over the same database and Redis; VNPay never calls it."""
    process = stack.api("second_api")
    with started(process):
        yield process


@pytest.fixture(scope="session")
def short_lived_api(stack: Stack) -> Iterator[Process]:
    """Run an API whose QRs and tokens live for five seconds."""
    process = stack.api("short_lived_api", QR_LIFETIME="5", TOKEN_LIFETIME="5")
    with started(process):
        yield process


@pytest.fixture
async def sandbox(stack: Stack) -> AsyncIterator[Sandbox]:
    async with Sandbox(stack.sandbox_url) as sandbox:
        yield sandbox


@pytest.fixture
async def make_collector(stack: Stack) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    clients: list[Client] = []

    async def make() -> Client:
        clients.append(await new_collector(stack))
        return clients[-1]

    yield make
    for client in clients:
        await client.__aexit__()


@pytest.fixture
async def collector(make_collector: Callable[[], Awaitable[Client]]) -> Client:
    return await make_collector()


@pytest.fixture
def make_customer(collector: Client) -> Callable[[int], Awaitable[Customer]]:
    return partial(new_customer, collector)


@pytest.fixture
async def customer(collector: Client) -> Customer:
    return await new_customer(collector, bills=2)


@pytest.fixture
def stored(stack: Stack) -> DatabaseView:
    return DatabaseView(stack.env["MOBINET_DATABASE_URL"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Add the logs of the stack to the report of a journey that fails."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections.append(("The stack", stack.logs()))
    return report
