"""A watched QR causes inquiries by one process; an unwatched one causes none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from domain.payment_evidence import Evidence, GatewayResult
from domain.payments import Payment, PaymentStatus
from resolvers import payment_inquiry, payment_watch
from resolvers.context import Context
from tests.support.backend import Backend

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

SECOND = timedelta(seconds=1)


class Turns:
    """The turns of the watching processes; the test moves the clock between them."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._ended = asyncio.Event()
        open_inquiries: dict[int, dict[str, Any]] = {}
        turn = payment_watch._turn

        async def record_turn(context: Context, due: Any, inquiring: dict[str, Any]) -> Any:
            open_inquiries[id(inquiring)] = inquiring
            due = await turn(context, due, inquiring)
            if not any(open_inquiries.values()):
                self._ended.set()
            return due

        patch.setattr(payment_watch, "_turn", record_turn)
        patch.setattr(payment_watch, "TURN_SECONDS", 0.005)

    async def wait(self, turns: int = 4) -> None:
        """Wait for this many turns that end without an open inquiry."""
        for _ in range(turns):
            self._ended.clear()
            async with asyncio.timeout(10):
                await self._ended.wait()


@pytest.fixture
def turns(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Turns:
    backend.gateway.inquiry_interval = 3
    return Turns(monkeypatch)


@asynccontextmanager
async def inquiring(*processes: Context) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(payment_watch.inquire(process)) for process in processes]
    try:
        yield
        assert not any(task.done() for task in tasks), "an inquiring task ended"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


class Watcher:
    """A client that watches a payment until it disconnects abruptly."""

    def __init__(self, by: Context, payment: Payment) -> None:
        self.seen: list[Payment] = []
        self._first = asyncio.Event()
        self._task = asyncio.create_task(self._watch(by, payment.id))

    async def _watch(self, by: Context, payment_id: str) -> None:
        async for item in payment_watch.payment(by, payment_id):
            self.seen.append(item)
            self._first.set()

    async def started(self) -> Watcher:
        async with asyncio.timeout(20):
            await self._first.wait()
        return self

    async def ended(self) -> None:
        async with asyncio.timeout(20):
            await self._task

    async def disconnect(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


async def walk(backend: Backend, turns: Turns, payment: Payment, *, to: int) -> list[int]:
    """Move the clock second by second; return the seconds of the inquiries since the opening."""
    assert payment.attempt is not None
    opened = payment.attempt.answered_at
    assert opened is not None
    for second in range(to + 1):
        backend.clock.at = opened + second * SECOND
        await turns.wait()
    return [(at - opened) // SECOND for at in backend.gateway.inquired_at]


async def test_a_watched_qr_is_inquired_about_by_the_schedule(
    backend: Backend, turns: Turns
) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    watcher = await Watcher(by, qr).started()
    async with inquiring(backend.context):
        assert await walk(backend, turns, qr, to=45) == [3, 6, 12, 27, 42]
    await watcher.disconnect()


async def test_a_watcher_sees_the_success_whose_webhook_was_lost(
    backend: Backend, turns: Turns
) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    watcher = await Watcher(by, qr).started()
    async with inquiring(backend.context):
        backend.gateway.inquiry_result = GatewayResult.PAID
        backend.clock.move(seconds=3)
        await watcher.ended()
    assert watcher.seen[-1].status is PaymentStatus.SUCCESS
    assert len(backend.gateway.inquired_at) == 1


async def test_any_number_of_watchers_in_any_number_of_processes_cause_one_inquiry(
    backend: Backend, turns: Turns
) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    watchers = [await Watcher(by, qr).started() for _ in range(5)]
    async with inquiring(backend.context, backend.context, backend.context):
        assert await walk(backend, turns, qr, to=30) == [3, 6, 12, 27]
    for watcher in watchers:
        await watcher.disconnect()


async def test_inquiries_stay_within_vnpays_five_minutes(backend: Backend, turns: Turns) -> None:
    backend.gateway.inquiry_interval = 300
    by = await backend.collector()
    qr = await backend.new_payment(by)
    watcher = await Watcher(by, qr).started()
    async with inquiring(backend.context):
        assert await walk(backend, turns, qr, to=60) == []
        backend.clock.move(seconds=239)
        await turns.wait()
        assert backend.gateway.inquired_at == []
        backend.clock.move(seconds=1)
        await turns.wait()
        assert len(backend.gateway.inquired_at) == 1
    await watcher.disconnect()


async def test_an_unwatched_payment_causes_no_inquiry(backend: Backend, turns: Turns) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    watcher = await Watcher(by, qr).started()
    async with inquiring(backend.context):
        assert await walk(backend, turns, qr, to=7) == [3, 6]
        await watcher.disconnect()
        backend.clock.move(seconds=60)
        await turns.wait()
        assert len(backend.gateway.inquired_at) == 2


async def test_an_inquiry_of_another_process_is_not_repeated(
    backend: Backend, turns: Turns
) -> None:
    """Another process makes the same inquiry between our read and our claim."""
    by = await backend.collector()
    qr = await backend.new_payment(by)
    backend.clock.move(seconds=10)
    assert await payment_inquiry.inquire(by, qr, skip_if_inquired=True) is not None
    backend.clock.move(seconds=4)
    assert await payment_inquiry.inquire(by, qr, skip_if_inquired=True) is None
    assert len(backend.gateway.inquired_at) == 1


async def test_a_thousand_watchers_that_vanish_leave_no_task_and_no_inquiry(
    backend: Backend, turns: Turns
) -> None:
    by = await backend.collector()
    qrs = [await backend.new_payment(by) for _ in range(5)]
    before = len(asyncio.all_tasks())
    async with inquiring(backend.context):
        watchers = [Watcher(by, qrs[number % len(qrs)]) for number in range(1000)]
        await asyncio.gather(*(watcher.started() for watcher in watchers))
        backend.clock.move(seconds=3)
        await turns.wait()
        assert len(backend.gateway.inquired_at) == len(qrs)
        await asyncio.gather(*(watcher.disconnect() for watcher in watchers))
        backend.clock.move(minutes=1)
        await turns.wait()
        assert len(backend.gateway.inquired_at) == len(qrs)
        assert backend.context.hub.watched("payment:") == []
    async with asyncio.timeout(10):
        while len(asyncio.all_tasks()) > before:  # the hub's channels linger for a moment
            await asyncio.sleep(0.01)


async def test_closing_the_watch_ends_its_open_inquiries(
    backend: Backend, turns: Turns, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def never_answer(*_: object, **__: object) -> Evidence:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    monkeypatch.setattr(backend.gateway, "inquire", never_answer)
    by = await backend.collector()
    watcher = await Watcher(by, await backend.new_payment(by)).started()
    async with inquiring(backend.context), asyncio.timeout(10):
        backend.clock.move(seconds=3)
        await started.wait()
    assert ended.is_set()
    await watcher.disconnect()
