"""A repeat of an unanswered idempotency key waits for the first request, within a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from db import engine
from db import idempotency as keys
from domain.attempts import Attempt
from domain.idempotency import IdempotencyInProgress, IdempotencyKeyReused
from domain.methods import PaymentMethod
from domain.payment_evidence import Evidence, GatewayResult
from domain.payment_request import NotificationChannels, ProcessPayment
from domain.payments import PaymentStatus
from resolvers import idempotency, payments
from resolvers.context import Context
from tests.support.backend import Backend
from tests.support.running_api import key

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_WAITS", (0.01,))


@pytest.fixture
async def by(backend: Backend) -> Context:
    return await backend.collector()


@pytest.fixture
async def command(backend: Backend) -> ProcessPayment:
    contract = f"SGFDN{next(backend.contracts)}"
    return ProcessPayment(
        idempotency_key=key(),
        contract_number=contract,
        method=PaymentMethod.VNPAY_QR,
        items=(await backend.owed(contract),),
        customer_phone=None,
        notify=NotificationChannels(),
    )


@contextmanager
def connection_lost_before_answer() -> Iterator[None]:
    """Lose the database before the key is marked as answered; the process stays alive."""

    async def fail(*_: object) -> None:
        raise ConnectionResetError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keys, "mark_answered", fail)
        with pytest.raises(ConnectionResetError):
            yield


async def payment_ids(by: Context) -> list[str]:
    assert by.actor is not None
    rows = await engine.fetch("select id from payment where staff = $1", by.actor.id)
    return [row["id"] for row in rows]


async def test_an_unanswered_key_returns_its_payment_after_half_a_minute(
    backend: Backend, by: Context, command: ProcessPayment
) -> None:
    with connection_lost_before_answer():
        await payments.process(by, command)
    (first,) = await payment_ids(by)
    with pytest.raises(IdempotencyInProgress) as waiting:
        await payments.process(by, command)
    assert waiting.value.payment_id == first
    backend.clock.move(seconds=29)
    with pytest.raises(IdempotencyInProgress):
        await payments.process(by, command)
    backend.clock.move(seconds=1)
    for _ in range(2):
        repeated = await payments.process(by, command)
        assert (repeated.payment.id, repeated.replayed) == (first, True)
    assert await payment_ids(by) == [first]


async def test_an_unanswered_key_still_means_one_request(
    backend: Backend, by: Context, command: ProcessPayment
) -> None:
    with connection_lost_before_answer():
        await payments.process(by, command)
    backend.clock.move(minutes=1)
    with pytest.raises(IdempotencyKeyReused):
        await payments.process(by, replace(command, notify=NotificationChannels(email=True)))
    assert len(await payment_ids(by)) == 1


async def test_a_repeat_during_the_first_request_opens_nothing_at_any_time(
    backend: Backend, by: Context, command: ProcessPayment, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, answers = asyncio.Event(), asyncio.Event()

    async def answer_late(attempt: Attempt, *_: object, **__: object) -> Evidence:
        began.set()
        await answers.wait()
        return backend.gateway._evidence(GatewayResult.ACCEPTED, attempt)

    monkeypatch.setattr(backend.gateway, "start", answer_late)
    first: asyncio.Task[Any] = asyncio.create_task(payments.process(by, command))
    async with asyncio.timeout(10):
        await began.wait()
        with pytest.raises(IdempotencyInProgress):
            await payments.process(by, command)
        backend.clock.move(seconds=30)
        repeated = await payments.process(by, command)
        assert (repeated.payment.status, repeated.replayed) == (PaymentStatus.PROCESSING, True)
        answers.set()
        assert (await first).payment.id == repeated.payment.id
    assert await payment_ids(by) == [repeated.payment.id]
