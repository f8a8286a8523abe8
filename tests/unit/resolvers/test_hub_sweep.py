"""The sweep wakes watchers whose hint was lost, also after the database was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
import structlog

from db import payments
from domain.payment_evidence import GatewayResult
from domain.payments import PaymentStatus
from resolvers import payment_evidence, payment_inquiry, payment_watch
from tests.support.backend import Backend

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


@dataclass
class Database:
    """Makes sweeps fail while it is away, and queues whether each sweep succeeded."""

    away: bool = False
    sweeps: asyncio.Queue[bool] = field(default_factory=asyncio.Queue)

    async def sweep_succeeds(self) -> bool:
        """Wait for the end of the next sweep; return whether it succeeded."""
        async with asyncio.timeout(20):
            return await self.sweeps.get()


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> Database:
    database = Database()
    versions = payments.versions

    async def read_versions(watched: Sequence[str]) -> dict[str, int]:
        try:
            if database.away:
                raise asyncpg.ConnectionDoesNotExistError
            return await versions(watched)
        finally:
            database.sweeps.put_nowait(not database.away)

    monkeypatch.setattr(payments, "versions", read_versions)
    monkeypatch.setattr(payment_watch, "SWEEP_SECONDS", 0.01)
    return database


@pytest.fixture
def without_hints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drop every hint, so that only the sweep wakes watchers."""

    async def drop(*_: object) -> None:
        pass

    monkeypatch.setattr(payment_evidence, "announce", drop)


@asynccontextmanager
async def sweeping(backend: Backend) -> AsyncIterator[None]:
    task = asyncio.create_task(payment_watch.sweep(backend.context))
    with structlog.testing.capture_logs():
        try:
            yield
            assert not task.done(), "the sweep ended"
        finally:
            task.cancel()
            await asyncio.wait([task])


async def next_event(events: Any) -> Any:
    async with asyncio.timeout(20):
        return await anext(events)


@pytest.mark.usefixtures("without_hints")
async def test_a_watcher_that_missed_a_hint_is_woken_after_the_database_is_back(
    backend: Backend, database: Database
) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    events = payment_watch.payment(by, qr.id)
    assert (await next_event(events)).version == qr.version
    async with sweeping(backend):
        assert await database.sweep_succeeds()
        database.away = True
        while await database.sweep_succeeds():
            pass
        backend.gateway.inquiry_result = GatewayResult.PAID
        await payment_inquiry.verify(by, qr.id)
        for _ in range(3):
            assert not await database.sweep_succeeds()
        database.away = False
        after = await next_event(events)
        assert (after.id, after.status) == (qr.id, PaymentStatus.SUCCESS)
    assert [event async for event in events] == [], "a final state is the last"


@pytest.mark.usefixtures("without_hints")
async def test_a_sweep_that_begins_without_a_database_wakes_its_watchers_later(
    backend: Backend, database: Database
) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    events = payment_watch.payment(by, qr.id)
    await next_event(events)
    database.away = True
    async with sweeping(backend):
        assert not await database.sweep_succeeds()
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
        database.away = False
        assert (await next_event(events)).status is PaymentStatus.CANCELLED
    await events.aclose()


async def test_without_watchers_nothing_is_read(backend: Backend, database: Database) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    async with sweeping(backend):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20 * payment_watch.SWEEP_SECONDS):
                await database.sweeps.get()
        events = payment_watch.payment(by, qr.id)
        await next_event(events)
        assert await database.sweep_succeeds()
    await events.aclose()
