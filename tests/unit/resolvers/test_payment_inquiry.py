"""Inquiries decide payments whose webhook never came, as time passes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from db import engine
from domain.attempts import AttemptStatus
from domain.calendar import business_date, day_end
from domain.gateways import GatewayUnavailable
from domain.methods import PaymentMethod
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payment_inquiry import GIVE_UP_AFTER
from domain.payments import HoldReason, Payment, PaymentStatus, TransitionRefused
from resolvers import jobs, payment_inquiry, payment_start
from resolvers.payment_evidence import apply
from tests.support.backend import Backend

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


async def run_follow_ups(backend: Backend, payment: Payment, *, until: timedelta) -> None:
    """Run the payment's job whenever it is due."""
    end = backend.clock.at + until
    while backend.clock.at <= end:
        again = await jobs.follow_up(backend.context, payment.id)
        if again is None:
            return
        backend.clock.at += again


async def test_an_unpaid_qr_ends_when_its_time_is_up_and_its_bill_is_free(backend: Backend) -> None:
    qr = await backend.new_payment(await backend.collector())
    assert qr.expires_at is not None
    backend.clock.at = qr.expires_at - timedelta(seconds=1)
    await jobs.follow_up(backend.context, qr.id)
    assert backend.gateway.inquired_at == []
    backend.clock.move(seconds=1)
    await jobs.follow_up(backend.context, qr.id)
    assert (await backend.reload(qr)).status is PaymentStatus.EXPIRED
    assert await backend.is_free(qr)


async def test_a_qr_whose_gateway_is_silent_at_its_end_stays_and_keeps_its_bill(
    backend: Backend,
) -> None:
    qr = await backend.new_payment(await backend.collector())
    backend.gateway.inquiry_result = GatewayResult.UNKNOWN
    backend.clock.move(minutes=20)
    await jobs.follow_up(backend.context, qr.id)
    assert (await backend.reload(qr)).status is PaymentStatus.PROCESSING
    assert not await backend.is_free(qr)
    backend.gateway.inquiry_result = GatewayResult.UNPAID
    await run_follow_ups(backend, qr, until=timedelta(hours=1))
    assert (await backend.reload(qr)).status is PaymentStatus.EXPIRED


async def new_unanswered_payment(backend: Backend) -> Payment:
    backend.gateway.start_result = backend.gateway.inquiry_result = GatewayResult.UNKNOWN
    qr = await backend.new_payment(await backend.collector())
    assert (qr.status, qr.needs_verification) == (PaymentStatus.PROCESSING, True)
    return qr


async def test_a_silent_gateway_is_inquired_by_the_schedule_for_seven_days(
    backend: Backend,
) -> None:
    qr = await new_unanswered_payment(backend)
    began = backend.clock.at
    await run_follow_ups(backend, qr, until=GIVE_UP_AFTER + timedelta(days=1))
    elapsed = [moment - began for moment in backend.gateway.inquired_at]
    assert elapsed[:6] == [
        timedelta(seconds=5),
        timedelta(seconds=15),
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=15),
        timedelta(hours=1),
    ]
    hours = {timedelta(hours=hour) for hour in range(1, 25)}
    assert hours | {timedelta(days=day) for day in range(2, 8)} <= set(elapsed)
    assert len(elapsed) < 50
    assert GIVE_UP_AFTER <= elapsed[-1] <= GIVE_UP_AFTER + timedelta(minutes=15)
    after = await backend.reload(qr)
    assert (after.status, after.needs_verification) == (PaymentStatus.PROCESSING, True)
    assert not await backend.is_free(qr)


async def test_seven_days_of_silence_end_in_a_case(backend: Backend) -> None:
    qr = await new_unanswered_payment(backend)
    await run_follow_ups(backend, qr, until=GIVE_UP_AFTER + timedelta(days=1))
    assert await backend.cases(qr) == ["UNKNOWN_OUTCOME"]
    after = await backend.reload(qr)
    assert (after.status, after.hold_reason) == (
        PaymentStatus.PROCESSING,
        HoldReason.UNKNOWN_OUTCOME,
    )
    assert not await backend.is_free(qr)
    assert await jobs.follow_up(backend.context, qr.id) is None
    assert await backend.cases(qr) == ["UNKNOWN_OUTCOME"]


async def test_a_single_inquiry_leaves_silence_to_the_schedule(backend: Backend) -> None:
    """UNKNOWN enqueues `inquire` beside `follow_up`; only one of them repeats."""
    qr = await new_unanswered_payment(backend)
    backend.clock.move(seconds=1)
    assert await jobs.inquire(backend.context, qr.id) is None


async def test_a_late_answer_of_a_silent_gateway_decides_the_payment(backend: Backend) -> None:
    qr = await new_unanswered_payment(backend)
    backend.gateway.inquiry_result = GatewayResult.PAID
    await run_follow_ups(backend, qr, until=timedelta(minutes=1))
    assert (await backend.reload(qr)).status is PaymentStatus.SUCCESS


async def test_a_gateway_is_not_inquired_within_its_quota(backend: Backend) -> None:
    backend.gateway.inquiry_interval = 300
    qr = await new_unanswered_payment(backend)
    await run_follow_ups(backend, qr, until=timedelta(hours=2))
    gaps = [later - item for item, later in pairwise(backend.gateway.inquired_at)]
    assert min(gaps) >= timedelta(seconds=300)


async def test_an_attempt_that_was_never_sent_fails_and_frees_its_bill(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died between its two commits."""
    opened: list[Payment] = []

    async def crash(_: Any, payment: Payment) -> Payment:
        opened.append(payment)
        raise ConnectionResetError

    monkeypatch.setattr(payment_start, "_mark_sent", crash)
    with pytest.raises(ConnectionResetError):
        await backend.new_payment(await backend.collector())
    (pending,) = opened
    assert (await backend.reload(pending)).status is PaymentStatus.PENDING
    await run_follow_ups(backend, pending, until=timedelta(minutes=2))
    assert (await backend.reload(pending)).status is PaymentStatus.FAILED
    assert await backend.is_free(pending)
    assert backend.gateway.inquired_at == []


async def test_a_cancellation_inquires_first_and_finds_the_payment_paid(backend: Backend) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    backend.gateway.inquiry_result = GatewayResult.PAID
    with pytest.raises(TransitionRefused):
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert (await backend.reload(qr)).status is PaymentStatus.SUCCESS


async def test_a_cancellation_without_an_answer_of_the_gateway_changes_nothing(
    backend: Backend,
) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    backend.gateway.inquiry_result = GatewayResult.UNKNOWN
    with pytest.raises(GatewayUnavailable):
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert (await backend.reload(qr)).version == qr.version
    assert not await backend.is_free(qr)


async def test_inside_the_quota_the_last_answer_allows_the_cancellation(backend: Backend) -> None:
    backend.gateway.inquiry_interval = 300
    by = await backend.collector()
    qr = await backend.new_payment(by)
    await payment_inquiry.verify(by, qr.id)
    backend.clock.move(seconds=10)
    assert (await payment_inquiry.cancel(by, qr.id, reason="customer left")).status is (
        PaymentStatus.CANCELLED
    )
    assert len(backend.gateway.inquired_at) == 1


async def test_a_cancelled_qr_is_watched_and_money_that_comes_pays_its_bill_late(
    backend: Backend,
) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer left")
    backend.gateway.inquiry_result = GatewayResult.PAID
    await run_follow_ups(backend, qr, until=timedelta(days=1))
    after = await backend.reload(qr)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)
    assert not await backend.is_free(qr)
    assert await backend.cases(qr) == []


@pytest.mark.parametrize("end", ["expired", "cancelled"])
async def test_a_qr_that_cannot_be_revoked_is_inquired_three_times_after_its_end(
    backend: Backend, end: str
) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    if end == "cancelled":
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    else:
        assert qr.expires_at is not None
        backend.clock.at = qr.expires_at
        await jobs.follow_up(backend.context, qr.id)
    ended = (await backend.reload(qr)).completed_at
    assert ended == backend.clock.at
    backend.gateway.inquired_at.clear()
    await run_follow_ups(backend, qr, until=timedelta(days=8))
    an_hour_on = ended + timedelta(hours=1)
    evening = day_end(business_date(ended))
    expected = [ended + timedelta(minutes=5), an_hour_on]
    assert backend.gateway.inquired_at == expected + ([evening] if evening > an_hour_on else [])
    assert await jobs.follow_up(backend.context, qr.id) is None
    assert (await backend.reload(qr)).status == end.upper()
    assert await backend.is_free(qr)


async def test_money_that_is_proven_after_a_decline_pays_the_bill_late(backend: Backend) -> None:
    """Hard case 8: FAILED, then a genuine success; its webhook only causes an inquiry."""
    qr = await backend.new_payment(await backend.collector())
    assert qr.attempt is not None
    declined = Evidence(
        source=EvidenceSource.WEBHOOK, origin="test:webhook", result=GatewayResult.DECLINED
    )
    await apply(backend.context, qr.attempt.reference, declined)
    assert (await backend.reload(qr)).status is PaymentStatus.FAILED
    reported = replace(declined, result=GatewayResult.PAID, money=qr.money, gateway_id="G1")
    await apply(backend.context, qr.attempt.reference, reported)
    assert (await backend.reload(qr)).status is PaymentStatus.FAILED
    backend.gateway.inquiry_result = GatewayResult.PAID
    await jobs.inquire(backend.context, qr.id)
    after = await backend.reload(qr)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)
    assert not await backend.is_free(qr)


async def test_money_for_a_bill_that_another_payment_paid_is_a_case(backend: Backend) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer pays cash")
    await backend.new_payment(
        by, PaymentMethod.CASH, contract_number=qr.contract_number, items=qr.items
    )
    backend.gateway.inquiry_result = GatewayResult.PAID
    await run_follow_ups(backend, qr, until=timedelta(days=1))
    after = await backend.reload(qr)
    assert after.status is PaymentStatus.CANCELLED
    assert after.attempt is not None
    assert after.attempt.status is AttemptStatus.PAID
    assert await backend.cases(qr) == ["LATE_MONEY"]


async def test_the_reason_of_a_cancellation_is_in_the_audit_log(backend: Backend) -> None:
    by = await backend.collector()
    qr = await backend.new_payment(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer pays in cash instead")
    rows = await engine.fetch("select details from audit_event where payment_id = $1", qr.id)
    assert any("customer pays in cash instead" in row["details"] for row in rows)
