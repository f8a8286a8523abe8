"""Concurrent inquiries about one payment: while one is open, an older answer decides nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from domain.attempts import Attempt, AttemptStatus
from domain.gateways import GatewayUnavailable
from domain.payment_evidence import Evidence, GatewayResult
from domain.payments import Payment, PaymentStatus
from resolvers import jobs, payment_inquiry, payment_start
from resolvers.context import Context
from tests.support.backend import Backend
from tests.support.clocks import SetClock

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

QUOTA = 300.0  # VNPay's


@pytest.fixture
async def by(backend: Backend) -> Context:
    backend.gateway.inquiry_interval = QUOTA
    return await backend.collector()


@asynccontextmanager
async def open_inquiry(backend: Backend, payment: Payment) -> AsyncIterator[asyncio.Event]:
    """Inquire at the gateway, which answers when the event is set; set it within the block."""
    began, answers = asyncio.Event(), asyncio.Event()
    inquire = backend.gateway.inquire

    async def answer_late(attempt: Attempt, *, now: datetime) -> Evidence:
        began.set()
        await answers.wait()
        return await inquire(attempt, now=now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend.gateway, "inquire", answer_late)
        inquiry = asyncio.create_task(jobs.inquire(backend.context, payment.id))
        async with asyncio.timeout(20):
            await began.wait()
            try:
                yield answers
            finally:
                answers.set()
                await inquiry


async def new_qr_reported_unpaid(backend: Backend, by: Context) -> Payment:
    """Return a QR that the gateway reported as unpaid one quota ago."""
    qr = await backend.new_payment(by)
    await payment_inquiry.verify(by, qr.id)
    backend.clock.move(seconds=QUOTA)
    return qr


async def test_a_cancellation_closes_nothing_on_an_older_unpaid_during_another_inquiry(
    backend: Backend, by: Context
) -> None:
    qr = await new_qr_reported_unpaid(backend, by)
    async with open_inquiry(backend, qr):
        backend.gateway.inquiry_result = GatewayResult.PAID
        with pytest.raises(GatewayUnavailable):
            await payment_inquiry.cancel(by, qr.id, reason="customer left")
        during = await backend.reload(qr)
        assert (during.status, during.version) == (PaymentStatus.PROCESSING, qr.version)
        assert not await backend.is_free(qr)
    assert (await backend.reload(qr)).status is PaymentStatus.SUCCESS
    assert len(backend.gateway.inquired_at) == 2


async def test_the_cancellation_closes_the_payment_once_the_other_inquiry_answers_unpaid(
    backend: Backend, by: Context
) -> None:
    qr = await new_qr_reported_unpaid(backend, by)
    async with open_inquiry(backend, qr):
        with pytest.raises(GatewayUnavailable):
            await payment_inquiry.cancel(by, qr.id, reason="customer left")
    cancelled = await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert cancelled.status is PaymentStatus.CANCELLED
    assert await backend.is_free(qr)
    assert len(backend.gateway.inquired_at) == 2, "the last answer allowed it, inside the quota"


async def test_silence_after_unpaid_prevents_the_cancellation(
    backend: Backend, by: Context
) -> None:
    qr = await new_qr_reported_unpaid(backend, by)
    backend.gateway.inquiry_result = GatewayResult.UNKNOWN
    async with open_inquiry(backend, qr):
        pass
    with pytest.raises(GatewayUnavailable):
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert (await backend.reload(qr)).status is PaymentStatus.PROCESSING
    assert not await backend.is_free(qr)


async def test_an_inquiry_that_died_leaves_no_older_unpaid_behind(
    backend: Backend, by: Context
) -> None:
    qr = await new_qr_reported_unpaid(backend, by)
    with failing_inquiry(backend), pytest.raises(ConnectionResetError):
        await jobs.inquire(backend.context, qr.id)
    with pytest.raises(GatewayUnavailable):
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert (await backend.reload(qr)).status is PaymentStatus.PROCESSING


async def test_an_expiry_closes_nothing_on_an_older_unpaid_during_another_inquiry(
    backend: Backend, by: Context
) -> None:
    qr = await new_qr_reported_unpaid(backend, by)
    assert qr.expires_at is not None
    backend.clock.at = qr.expires_at
    async with concurrent_inquiry(backend, qr) as (make_context, answers):
        backend.gateway.inquiry_result = GatewayResult.PAID
        again = await jobs.follow_up(make_context(), qr.id)
        during = await backend.reload(qr)
        assert (during.status, during.version) == (PaymentStatus.PROCESSING, qr.version)
        assert not await backend.is_free(qr)
        assert again is not None, "the job runs again"
        answers.set()
    assert (await backend.reload(qr)).status is PaymentStatus.SUCCESS


async def test_an_expiry_inside_the_quota_closes_on_the_last_unpaid(
    backend: Backend, by: Context
) -> None:
    """Another process inquires, and is answered, between our read and our inquiry."""
    qr = await new_qr_reported_unpaid(backend, by)
    assert qr.expires_at is not None
    backend.clock.at = qr.expires_at
    async with concurrent_inquiry(backend, qr, answered=True) as (make_context, _):
        await jobs.follow_up(make_context(), qr.id)
        assert (await backend.reload(qr)).status is PaymentStatus.EXPIRED
    assert await backend.is_free(qr)
    assert len(backend.gateway.inquired_at) == 2


@asynccontextmanager
async def concurrent_inquiry(
    backend: Backend, payment: Payment, *, answered: bool = False
) -> AsyncIterator[tuple[Callable[[], Context], asyncio.Event]]:
    """
    Yield a function that makes a context, and the event of another inquiry's answer.

    The first reading of the context's clock starts that other inquiry. A follow-up reads the
    payment, then the clock, and then inquires, so the other inquiry is always first.
    """
    started: list[Any] = []
    answers = asyncio.Event()

    def make_context() -> Context:
        async def clock() -> datetime:
            if not started:
                started.append(open_inquiry(backend, payment))
                answer = await started[0].__aenter__()
                if answered:
                    answer.set()
                    await started[0].__aexit__(None, None, None)
            return backend.clock.at

        return replace(backend.context, clock=SetClock(clock))

    yield make_context, answers
    if not answered:
        await started[0].__aexit__(None, None, None)


@contextmanager
def failing_inquiry(backend: Backend) -> Any:
    async def fail(*_: object, **__: object) -> Evidence:
        raise ConnectionResetError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend.gateway, "inquire", fail)
        yield


# ── a crash after sending ────────────────────────────────────────────────────────────────────────


async def crash_after_sending(backend: Backend) -> Payment:
    """Crash after sending; return the payment, which is SENT and which no process waits for."""
    opened: list[Payment] = []

    async def fail(_: object, sent: Payment, *__: object) -> Evidence:
        opened.append(sent)
        raise ConnectionResetError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payment_start, "_send", fail)
        with pytest.raises(ConnectionResetError):
            await backend.new_payment(await backend.collector())
    crashed = await backend.reload(opened[0])
    assert (crashed.status, attempt_of(crashed)) == (PaymentStatus.PROCESSING, AttemptStatus.SENT)
    assert not crashed.needs_verification
    return crashed


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (GatewayResult.UNKNOWN, AttemptStatus.UNKNOWN),
        (GatewayResult.UNPAID, AttemptStatus.ACCEPTED),
    ],
    ids=["still silent", "unpaid, and nobody has its QR"],
)
async def test_an_attempt_left_sent_by_a_crash_becomes_needs_verification(
    backend: Backend, result: GatewayResult, expected: AttemptStatus
) -> None:
    qr = await crash_after_sending(backend)
    backend.gateway.inquiry_result = result
    backend.clock.move(seconds=35)
    assert await jobs.follow_up(backend.context, qr.id) is not None
    after = await backend.reload(qr)
    assert (after.status, attempt_of(after)) == (PaymentStatus.PROCESSING, expected)
    assert after.needs_verification
    assert not await backend.is_free(qr)


async def test_a_sent_attempt_of_a_live_process_is_left_alone(backend: Backend) -> None:
    qr = await crash_after_sending(backend)
    backend.clock.move(seconds=30)
    await jobs.follow_up(backend.context, qr.id)
    after = await backend.reload(qr)
    assert (attempt_of(after), after.needs_verification) == (AttemptStatus.SENT, False)
    assert backend.gateway.inquired_at == []


async def test_a_payment_that_needs_verification_ends_as_any_other(backend: Backend) -> None:
    qr = await crash_after_sending(backend)
    while not (after := await backend.reload(qr)).is_final:
        again = await jobs.follow_up(backend.context, qr.id)
        assert again is not None
        backend.clock.at += again
    assert (after.status, after.needs_verification) == (PaymentStatus.EXPIRED, False)
    assert await backend.is_free(qr)


def attempt_of(payment: Payment) -> AttemptStatus:
    assert payment.attempt is not None
    return payment.attempt.status
