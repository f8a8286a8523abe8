"""Settling what no webhook settled, as the clock moves on."""

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


async def followed(backend: Backend, payment: Payment, *, until: timedelta) -> None:
    """Run the payment's job whenever it is due."""
    end = backend.clock.at + until
    while backend.clock.at <= end:
        again = await jobs.follow_up(backend.context, payment.id)
        if again is None:
            return
        backend.clock.at += again


async def test_an_unpaid_qr_ends_when_its_time_is_up_and_its_bill_is_free(backend: Backend) -> None:
    qr = await backend.pays(await backend.collector())
    assert qr.expires_at is not None
    backend.clock.at = qr.expires_at - timedelta(seconds=1)
    await jobs.follow_up(backend.context, qr.id)
    assert backend.gateway.asked == []
    backend.clock.move(seconds=1)
    await jobs.follow_up(backend.context, qr.id)
    assert (await backend.again(qr)).status is PaymentStatus.EXPIRED
    assert await backend.is_free(qr)


async def test_a_qr_whose_gateway_is_silent_at_its_end_stays_and_keeps_its_bill(
    backend: Backend,
) -> None:
    qr = await backend.pays(await backend.collector())
    backend.gateway.says = GatewayResult.UNKNOWN
    backend.clock.move(minutes=20)
    await jobs.follow_up(backend.context, qr.id)
    assert (await backend.again(qr)).status is PaymentStatus.PROCESSING
    assert not await backend.is_free(qr)
    backend.gateway.says = GatewayResult.UNPAID
    await followed(backend, qr, until=timedelta(hours=1))
    assert (await backend.again(qr)).status is PaymentStatus.EXPIRED


async def silent(backend: Backend) -> Payment:
    backend.gateway.starts = backend.gateway.says = GatewayResult.UNKNOWN
    qr = await backend.pays(await backend.collector())
    assert (qr.status, qr.needs_verification) == (PaymentStatus.PROCESSING, True)
    return qr


async def test_a_silent_gateway_is_asked_by_the_table_for_seven_days(backend: Backend) -> None:
    qr = await silent(backend)
    began = backend.clock.at
    await followed(backend, qr, until=GIVE_UP_AFTER + timedelta(days=1))
    asked = [moment - began for moment in backend.gateway.asked]
    assert asked[:6] == [
        timedelta(seconds=5),
        timedelta(seconds=15),
        timedelta(minutes=1),
        timedelta(minutes=5),
        timedelta(minutes=15),
        timedelta(hours=1),
    ]
    hours = {timedelta(hours=hour) for hour in range(1, 25)}
    assert hours | {timedelta(days=day) for day in range(2, 8)} <= set(asked)
    assert len(asked) < 50
    assert GIVE_UP_AFTER <= asked[-1] <= GIVE_UP_AFTER + timedelta(minutes=15)
    after = await backend.again(qr)
    assert (after.status, after.needs_verification) == (PaymentStatus.PROCESSING, True)
    assert not await backend.is_free(qr)


async def test_what_nobody_answered_in_seven_days_is_a_case(backend: Backend) -> None:
    qr = await silent(backend)
    await followed(backend, qr, until=GIVE_UP_AFTER + timedelta(days=1))
    assert await backend.cases(qr) == ["UNKNOWN_OUTCOME"]
    after = await backend.again(qr)
    assert (after.status, after.hold_reason) == (
        PaymentStatus.PROCESSING,
        HoldReason.UNKNOWN_OUTCOME,
    )
    assert not await backend.is_free(qr)
    assert await jobs.follow_up(backend.context, qr.id) is None
    assert await backend.cases(qr) == ["UNKNOWN_OUTCOME"]


async def test_a_question_of_its_own_leaves_silence_to_the_table(backend: Backend) -> None:
    """UNKNOWN enqueues `inquire` beside `follow_up`: only one of them may go on asking."""
    qr = await silent(backend)
    backend.clock.move(seconds=1)
    assert await jobs.inquire(backend.context, qr.id) is None


async def test_a_silent_gateway_that_answers_at_last_settles_the_payment(backend: Backend) -> None:
    qr = await silent(backend)
    backend.gateway.says = GatewayResult.PAID
    await followed(backend, qr, until=timedelta(minutes=1))
    assert (await backend.again(qr)).status is PaymentStatus.SUCCESS


async def test_a_gateway_is_not_asked_within_its_quota(backend: Backend) -> None:
    backend.gateway.inquiry_interval = 300
    qr = await silent(backend)
    await followed(backend, qr, until=timedelta(hours=2))
    gaps = [later - item for item, later in pairwise(backend.gateway.asked)]
    assert min(gaps) >= timedelta(seconds=300)


async def test_what_was_promised_and_never_sent_fails_and_frees_its_bill(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died between its two commits."""
    kept: list[Payment] = []

    async def dies(_: Any, payment: Payment) -> Payment:
        kept.append(payment)
        raise ConnectionResetError

    monkeypatch.setattr(payment_start, "_mark_sent", dies)
    with pytest.raises(ConnectionResetError):
        await backend.pays(await backend.collector())
    (promised,) = kept
    assert (await backend.again(promised)).status is PaymentStatus.PENDING
    await followed(backend, promised, until=timedelta(minutes=2))
    assert (await backend.again(promised)).status is PaymentStatus.FAILED
    assert await backend.is_free(promised)
    assert backend.gateway.asked == []


async def test_a_cancellation_asks_first_and_finds_that_it_was_paid(backend: Backend) -> None:
    by = await backend.collector()
    qr = await backend.pays(by)
    backend.gateway.says = GatewayResult.PAID
    with pytest.raises(TransitionRefused):
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert (await backend.again(qr)).status is PaymentStatus.SUCCESS


async def test_a_cancellation_that_nobody_answers_changes_nothing(backend: Backend) -> None:
    by = await backend.collector()
    qr = await backend.pays(by)
    backend.gateway.says = GatewayResult.UNKNOWN
    with pytest.raises(GatewayUnavailable):
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert (await backend.again(qr)).version == qr.version
    assert not await backend.is_free(qr)


async def test_inside_the_quota_the_last_answer_allows_the_cancellation(backend: Backend) -> None:
    backend.gateway.inquiry_interval = 300
    by = await backend.collector()
    qr = await backend.pays(by)
    await payment_inquiry.verify(by, qr.id)
    backend.clock.move(seconds=10)
    assert (await payment_inquiry.cancel(by, qr.id, reason="customer left")).status is (
        PaymentStatus.CANCELLED
    )
    assert len(backend.gateway.asked) == 1


async def test_a_cancelled_qr_is_watched_and_money_that_comes_pays_its_bill_late(
    backend: Backend,
) -> None:
    by = await backend.collector()
    qr = await backend.pays(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer left")
    backend.gateway.says = GatewayResult.PAID
    await followed(backend, qr, until=timedelta(days=1))
    after = await backend.again(qr)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)
    assert not await backend.is_free(qr)
    assert await backend.cases(qr) == []


@pytest.mark.parametrize("end", ["expired", "cancelled"])
async def test_a_qr_that_cannot_be_revoked_is_asked_about_three_times_after_its_end(
    backend: Backend, end: str
) -> None:
    by = await backend.collector()
    qr = await backend.pays(by)
    if end == "cancelled":
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    else:
        assert qr.expires_at is not None
        backend.clock.at = qr.expires_at
        await jobs.follow_up(backend.context, qr.id)
    ended = (await backend.again(qr)).completed_at
    assert ended == backend.clock.at
    backend.gateway.asked.clear()
    await followed(backend, qr, until=timedelta(days=8))
    an_hour_on = ended + timedelta(hours=1)
    evening = day_end(business_date(ended))
    expected = [ended + timedelta(minutes=5), an_hour_on]
    assert backend.gateway.asked == expected + ([evening] if evening > an_hour_on else [])
    assert await jobs.follow_up(backend.context, qr.id) is None
    assert (await backend.again(qr)).status == end.upper()
    assert await backend.is_free(qr)


async def test_money_that_is_proven_after_a_decline_pays_the_bill_late(backend: Backend) -> None:
    """Hard case 8: FAILED, then a genuine success; its webhook only makes us ask."""
    qr = await backend.pays(await backend.collector())
    assert qr.attempt is not None
    declined = Evidence(
        source=EvidenceSource.WEBHOOK, origin="test:webhook", result=GatewayResult.DECLINED
    )
    await apply(backend.context, qr.attempt.reference, declined)
    assert (await backend.again(qr)).status is PaymentStatus.FAILED
    claimed = replace(declined, result=GatewayResult.PAID, money=qr.money, gateway_id="G1")
    await apply(backend.context, qr.attempt.reference, claimed)
    assert (await backend.again(qr)).status is PaymentStatus.FAILED
    backend.gateway.says = GatewayResult.PAID
    await jobs.inquire(backend.context, qr.id)
    after = await backend.again(qr)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)
    assert not await backend.is_free(qr)


async def test_money_that_comes_for_a_bill_paid_otherwise_is_a_case(backend: Backend) -> None:
    by = await backend.collector()
    qr = await backend.pays(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer pays cash")
    await backend.pays(by, PaymentMethod.CASH, contract_number=qr.contract_number, items=qr.items)
    backend.gateway.says = GatewayResult.PAID
    await followed(backend, qr, until=timedelta(days=1))
    after = await backend.again(qr)
    assert after.status is PaymentStatus.CANCELLED
    assert after.attempt is not None
    assert after.attempt.status is AttemptStatus.PAID
    assert await backend.cases(qr) == ["LATE_MONEY"]


async def test_why_a_payment_was_cancelled_is_in_the_audit_trail(backend: Backend) -> None:
    by = await backend.collector()
    qr = await backend.pays(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer pays in cash instead")
    rows = await engine.fetch("select details from audit_event where payment_id = $1", qr.id)
    assert any("customer pays in cash instead" in row["details"] for row in rows)
