"""
One running stack for all journeys, and each journey its own contract and collector.

Journeys run side by side, so none breaks a system for the others: a fault names its `path`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import _copy_of
from tests.support.client import Client
from tests.support.outside import Json, Sandbox
from tests.support.stack import Process, Stack, shared, started

# Each test process numbers its own: they share the stack.
NTH = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
CONTRACTS = itertools.count(2000 + 1000 * NTH)
COLLECTORS = itertools.count(1000 + 100 * NTH)


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
        with _copy_of(template, server) as database:
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


@dataclass(frozen=True, slots=True)
class Customer:
    contract: str
    bills: list[Json]


async def new_collector(stack: Stack) -> Client:
    """A member of staff whom no other journey knows, logged in; to be closed."""
    return await Client(stack.url).log_in(f"NV{next(COLLECTORS)}")


async def new_customer(collector: Client, bills: int) -> Customer:
    """A contract that no other journey knows, which owes at least so many bills."""
    while True:
        contract = f"SGFDN{next(CONTRACTS)}"
        told = await collector.ask("CustomerBills", contractNumber=contract)
        if told["contractStatus"] == "ACTIVE" and len(told["bills"]) >= bills:
            return Customer(contract, told["bills"])


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


@dataclass(frozen=True, slots=True)
class Books:
    """What the API does not serve yet, read where it is kept."""

    url: str

    async def entries(self, payment_id: str) -> list[tuple[str, str, int]]:
        """Each posting of a payment as (debit, credit, amount)."""
        rows = await self._rows(
            "select p.debit, p.credit, p.amount from posting p join entry e on e.id = p.entry"
            " where e.payment = $1 order by p.id",
            payment_id,
        )
        return [(row["debit"], row["credit"], row["amount"]) for row in rows]

    async def cases(self, payment_id: str) -> list[tuple[str, str]]:
        """Each case of a payment as (kind, status)."""
        rows = await self._rows(
            "select kind, status from money_case where payment = $1 order by id", payment_id
        )
        return [(row["kind"], row["status"]) for row in rows]

    async def payments(self, contract: str) -> list[str]:
        """The status of every payment of a contract, oldest first."""
        rows = await self._rows(
            "select status from payment where contract_number = $1 order by created_at", contract
        )
        return [row["status"] for row in rows]

    async def _rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()


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
