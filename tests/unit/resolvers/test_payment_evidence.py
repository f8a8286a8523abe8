"""Reported money: at some gateways it counts only once an inquiry confirms it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest

from db import engine
from domain.attempts import Failure
from domain.methods import PaymentMethod
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payment_inquiry import CONFIRM_FOR
from domain.payments import HoldReason, Payment, PaymentStatus
from resolvers import jobs
from resolvers.payment_evidence import apply
from tests.support.backend import Backend

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

QUOTA = 300.0  # VNPay's


async def fail_payment(backend: Backend, by: Any) -> Payment:
    backend.gateway.start_result = GatewayResult.DECLINED
    return await backend.new_payment(by)


async def expire_payment(backend: Backend, by: Any) -> Payment:
    qr = await backend.new_payment(by)
    assert qr.expires_at is not None
    backend.clock.at = qr.expires_at
    await jobs.follow_up(backend.context, qr.id)
    backend.clock.move(seconds=QUOTA)
    return qr


ENDED = pytest.mark.parametrize(
    ("end", "status"),
    [(fail_payment, PaymentStatus.FAILED), (expire_payment, PaymentStatus.EXPIRED)],
    ids=["failed", "expired"],
)


async def end_payment(backend: Backend, end: Any, status: PaymentStatus) -> Payment:
    backend.gateway.inquiry_interval = QUOTA
    payment = await backend.reload(await end(backend, await backend.collector()))
    assert payment.status is status
    backend.gateway.inquired_at.clear()
    return payment


async def report(
    backend: Backend,
    payment: Payment,
    result: GatewayResult = GatewayResult.PAID,
    *,
    source: EvidenceSource = EvidenceSource.WEBHOOK,
    number: str | None = "G1",
    failure: Failure | None = None,
) -> None:
    """Apply evidence about the payment, by default that of a signed webhook."""
    assert payment.attempt is not None
    evidence = Evidence(
        source=source,
        origin="test:ipn",
        result=result,
        money=payment.attempt.money if result is GatewayResult.PAID else None,
        gateway_id=number,
        failure=failure,
    )
    await apply(backend.context, payment.attempt.reference, evidence)


async def run_inquiries(backend: Backend, payment: Payment, *, until: timedelta) -> bool:
    """Run the inquiry job until its time is over; return whether it ended."""
    end = backend.clock.at + until
    backend.clock.move(seconds=1)
    while backend.clock.at <= end:
        delay = await jobs.inquire(backend.context, payment.id)
        if delay is None:
            return True
        assert delay > timedelta(0), "a job must not repeat at once"
        backend.clock.at += delay
    return False


async def count_inquiry_jobs(payment: Payment) -> int:
    subject = orjson.dumps({"subject": payment.id})
    return await engine.fetchval(
        "select count(*) from pgqueuer where entrypoint = 'inquire' and payload = $1", subject
    )


async def suspense(payment: Payment) -> list[int]:
    rows = await engine.fetch(
        "select amount from posting join entry on entry.id = entry"
        " where payment = $1 and credit = 'suspense'",
        payment.id,
    )
    return [row["amount"] for row in rows]


# ── after the end ────────────────────────────────────────────────────────────────────────────────


@ENDED
async def test_reported_money_is_inquired_about_until_the_gateway_reports_paid(
    backend: Backend, end: Any, status: PaymentStatus
) -> None:
    payment = await end_payment(backend, end, status)
    await report(backend, payment)
    assert (await backend.reload(payment)).status is status, "a reported success is no proof"
    assert await count_inquiry_jobs(payment) == 1
    assert not await run_inquiries(backend, payment, until=timedelta(hours=2))
    assert len(backend.gateway.inquired_at) > 3
    backend.gateway.inquiry_result = GatewayResult.PAID
    assert await run_inquiries(backend, payment, until=timedelta(hours=6))
    after = await backend.reload(payment)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)
    assert not await backend.is_free(payment)
    assert await backend.cases(payment) == []


@ENDED
async def test_inquiries_about_reported_money_stay_within_the_quota_and_become_rarer(
    backend: Backend, end: Any, status: PaymentStatus
) -> None:
    payment = await end_payment(backend, end, status)
    await report(backend, payment)
    await run_inquiries(backend, payment, until=timedelta(days=2))
    gaps = [later - item for item, later in pairwise(backend.gateway.inquired_at)]
    assert min(gaps) >= timedelta(seconds=QUOTA)
    assert gaps == sorted(gaps)
    assert len(gaps) < 30


@ENDED
async def test_reported_money_that_is_unconfirmed_for_a_day_is_one_case(
    backend: Backend, end: Any, status: PaymentStatus
) -> None:
    payment = await end_payment(backend, end, status)
    reported_at = backend.clock.at
    await report(backend, payment)
    await report(backend, payment)
    assert await run_inquiries(backend, payment, until=timedelta(days=3))
    assert CONFIRM_FOR <= backend.clock.at - reported_at <= CONFIRM_FOR * 2
    assert await backend.cases(payment) == ["LATE_MONEY"]
    assert (await backend.reload(payment)).status is status
    for _ in range(3):
        backend.clock.move(days=2)
        assert await jobs.inquire(backend.context, payment.id) is None
    assert await backend.cases(payment) == ["LATE_MONEY"]


async def test_the_same_report_under_a_new_event_joins_the_open_case(
    backend: Backend,
) -> None:
    payment = await end_payment(backend, fail_payment, PaymentStatus.FAILED)
    for _ in range(2):
        await report(backend, payment)
        assert await run_inquiries(backend, payment, until=timedelta(days=3))
    assert await backend.cases(payment) == ["LATE_MONEY"]


async def test_money_proved_after_the_inquiries_ended_joins_the_same_case(
    backend: Backend,
) -> None:
    payment = await end_payment(backend, fail_payment, PaymentStatus.FAILED)
    await report(backend, payment)
    assert await run_inquiries(backend, payment, until=timedelta(days=3))
    by = await backend.collector()
    await backend.new_payment(
        by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items
    )
    await report(backend, payment, source=EvidenceSource.INQUIRY)
    assert await backend.cases(payment) == ["LATE_MONEY"]
    rows = await engine.fetch("select amount from money_case where payment = $1", payment.id)
    assert [row["amount"] for row in rows] == [payment.amount]
    assert await suspense(payment) == [payment.amount]


async def test_two_workers_that_give_up_at_once_open_one_case(backend: Backend) -> None:
    payment = await end_payment(backend, fail_payment, PaymentStatus.FAILED)
    await report(backend, payment)
    backend.clock.at += CONFIRM_FOR
    await asyncio.gather(*(jobs.inquire(backend.context, payment.id) for _ in range(4)))
    assert await backend.cases(payment) == ["LATE_MONEY"]


@ENDED
async def test_money_that_the_gateway_confirms_after_the_case_is_still_booked(
    backend: Backend, end: Any, status: PaymentStatus
) -> None:
    payment = await end_payment(backend, end, status)
    await report(backend, payment)
    assert await run_inquiries(backend, payment, until=timedelta(days=3))
    backend.gateway.inquiry_result = GatewayResult.PAID
    backend.clock.move(days=1)
    assert await jobs.inquire(backend.context, payment.id) is None
    after = await backend.reload(payment)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)


@pytest.mark.parametrize("number", ["G1", None], ids=["numbered", "without a number"])
async def test_confirmed_money_for_a_bill_that_another_payment_paid_is_one_case(
    backend: Backend, number: str | None
) -> None:
    """VNPay's number of a payment may be 0, which is none."""
    payment = await end_payment(backend, fail_payment, PaymentStatus.FAILED)
    by = await backend.collector()
    await backend.new_payment(
        by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items
    )
    await report(backend, payment)
    await report(backend, payment, source=EvidenceSource.INQUIRY, number=number)
    assert await backend.cases(payment) == ["LATE_MONEY"]
    assert await run_inquiries(backend, payment, until=timedelta(days=3))
    assert await backend.cases(payment) == ["LATE_MONEY"]
    assert await suspense(payment) == [payment.amount]


FRAUD = Failure(code="07", message="Nghi ngờ gian lận.")


async def test_a_suspicious_result_of_an_expired_payment_is_one_case_however_often_it_comes(
    backend: Backend,
) -> None:
    payment = await end_payment(backend, expire_payment, PaymentStatus.EXPIRED)
    for source in (EvidenceSource.WEBHOOK, EvidenceSource.WEBHOOK, EvidenceSource.INQUIRY):
        await report(backend, payment, GatewayResult.SUSPICIOUS, source=source, failure=FRAUD)
    assert await backend.cases(payment) == ["SUSPICIOUS"]
    assert (await backend.reload(payment)).status is PaymentStatus.EXPIRED
    assert await backend.is_free(payment)


async def test_money_after_a_suspicious_result_of_an_expired_payment_is_still_confirmed(
    backend: Backend,
) -> None:
    payment = await end_payment(backend, expire_payment, PaymentStatus.EXPIRED)
    await report(backend, payment, GatewayResult.SUSPICIOUS, failure=FRAUD)
    await report(backend, payment)
    backend.gateway.inquiry_result = GatewayResult.PAID
    assert await run_inquiries(backend, payment, until=timedelta(hours=1))
    assert (await backend.reload(payment)).status is PaymentStatus.SUCCESS
    assert await backend.cases(payment) == ["SUSPICIOUS"]


# ── while it is held ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "source", [EvidenceSource.WEBHOOK, EvidenceSource.INQUIRY], ids=["webhook", "inquiry"]
)
async def test_money_of_a_suspicious_payment_is_booked_once_and_waits_with_it(
    backend: Backend, source: EvidenceSource
) -> None:
    held = await backend.new_payment(await backend.collector())
    await report(backend, held, GatewayResult.SUSPICIOUS, failure=FRAUD)
    for each in (source, EvidenceSource.WEBHOOK, EvidenceSource.INQUIRY):
        await report(backend, held, source=each)
    after = await backend.reload(held)
    assert (after.status, after.hold_reason) == (
        PaymentStatus.PROCESSING,
        HoldReason.GATEWAY_SUSPICIOUS,
    )
    assert await suspense(held) == [held.amount]
    assert await backend.cases(held) == ["SUSPICIOUS"]
    assert not await backend.is_free(held)
