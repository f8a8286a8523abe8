"""
One running stack for all journeys, and each journey its own contract and collector.

Journeys run side by side, so none breaks a system for the others: a fault names its `path`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.databases import copy_of
from tests.support.stack.books import Books
from tests.support.stack.client import Client
from tests.support.stack.customers import Customer, new_collector, new_customer
from tests.support.stack.outside import Sandbox
from tests.support.stack.processes import Process, Stack, shared, started


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, shared_folder: Path) -> Iterator[Stack]:
    """
    Sandbox, two API processes behind one port, and a worker, over a database of their own.

    Whatever the journeys did, everything must hold in the end.
    """
    folder = shared_folder / "journeys"

    @contextmanager
    def make() -> Iterator[Stack]:
        server: str = request.getfixturevalue("database_url")
        template: str = request.getfixturevalue("template")
        with copy_of(template, server) as database:
            redis: str = request.getfixturevalue("redis_url")
            new = Stack.over(folder, database_url=database, redis_url=redis)
            with new.running():
                yield new
            proved = new.run("verify", "--signatures")
            assert proved.returncode == 0, proved.stdout + proved.stderr

    with shared(folder, make) as stack:
        yield stack


@pytest.fixture(scope="session")
def neighbour(stack: Stack) -> Iterator[Process]:
    """Another API over the same database and Redis. VNPAY never calls it."""
    process = stack.api("neighbour")
    with started(process):
        yield process


@pytest.fixture(scope="session")
def hasty(stack: Stack) -> Iterator[Process]:
    """Another API, whose QRs and tokens live for two seconds."""
    process = stack.api("hasty", QR_LIFETIME="2", TOKEN_LIFETIME="2")
    with started(process):
        yield process


@pytest.fixture
async def sandbox(stack: Stack) -> AsyncIterator[Sandbox]:
    async with Sandbox(stack.sandbox_url) as sandbox:
        yield sandbox


@pytest.fixture
async def collectors(stack: Stack) -> AsyncIterator[Callable[[], Awaitable[Client]]]:
    clients: list[Client] = []

    async def another() -> Client:
        clients.append(await new_collector(stack))
        return clients[-1]

    yield another
    for client in clients:
        await client.__aexit__()


@pytest.fixture
async def collector(collectors: Callable[[], Awaitable[Client]]) -> Client:
    return await collectors()


@pytest.fixture
def customers(collector: Client) -> Callable[[int], Awaitable[Customer]]:
    return partial(new_customer, collector)


@pytest.fixture
async def customer(collector: Client) -> Customer:
    return await new_customer(collector, bills=2)


@pytest.fixture
def books(stack: Stack) -> Books:
    return Books(stack.env["MOBINET_DATABASE_URL"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Where a journey fails, what its processes said is part of the report."""
    report = yield
    stack = getattr(item, "funcargs", {}).get("stack")
    if report.failed and isinstance(stack, Stack):
        report.sections.append(("The stack", stack.logs()))
    return report
