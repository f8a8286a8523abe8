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
from domain.payment_evidence import Evidence, Finding, Grade
from domain.payment_inquiry import GIVE_UP
from domain.payments import HoldReason, Payment, PaymentStatus, TransitionRefused
from resolvers import jobs, payment_inquiry, payment_start
from resolvers.payment_evidence import apply
from tests.unit.resolvers.conftest import House

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


async def followed(house: House, payment: Payment, *, until: timedelta) -> None:
    """Run the payment's job whenever it is due."""
    end = house.clock.at + until
    while house.clock.at <= end:
        again = await jobs.follow_up(house.context, payment.id)
        if again is None:
            return
        house.clock.at += again


async def test_an_unpaid_qr_ends_when_its_time_is_up_and_its_bill_is_free(house: House) -> None:
    qr = await house.pays(await house.collector())
    assert qr.expires_at is not None
    house.clock.at = qr.expires_at - timedelta(seconds=1)
    await jobs.follow_up(house.context, qr.id)
    assert house.gateway.asked == []
    house.clock.move(seconds=1)
    await jobs.follow_up(house.context, qr.id)
    assert (await house.again(qr)).status is PaymentStatus.EXPIRED
    assert await house.is_free(qr)


async def test_a_qr_whose_gateway_is_silent_at_its_end_stays_and_keeps_its_bill(
    house: House,
) -> None:
    qr = await house.pays(await house.collector())
    house.gateway.says = Finding.UNKNOWN
    house.clock.move(minutes=20)
    await jobs.follow_up(house.context, qr.id)
    assert (await house.again(qr)).status is PaymentStatus.PROCESSING
    assert not await house.is_free(qr)
    house.gateway.says = Finding.UNPAID
    await followed(house, qr, until=timedelta(hours=1))
    assert (await house.again(qr)).status is PaymentStatus.EXPIRED


async def silent(house: House) -> Payment:
    house.gateway.starts = house.gateway.says = Finding.UNKNOWN
    qr = await house.pays(await house.collector())
    assert (qr.status, qr.needs_verification) == (PaymentStatus.PROCESSING, True)
    return qr


async def test_a_silent_gateway_is_asked_by_the_table_for_seven_days(house: House) -> None:
    qr = await silent(house)
    began = house.clock.at
    await followed(house, qr, until=GIVE_UP + timedelta(days=1))
    asked = [moment - began for moment in house.gateway.asked]
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
    assert GIVE_UP <= asked[-1] <= GIVE_UP + timedelta(minutes=15)
    after = await house.again(qr)
    assert (after.status, after.needs_verification) == (PaymentStatus.PROCESSING, True)
    assert not await house.is_free(qr)


async def test_what_nobody_answered_in_seven_days_is_a_case(house: House) -> None:
    qr = await silent(house)
    await followed(house, qr, until=GIVE_UP + timedelta(days=1))
    assert await house.cases(qr) == ["UNKNOWN_OUTCOME"]
    after = await house.again(qr)
    assert (after.status, after.hold_reason) == (
        PaymentStatus.PROCESSING,
        HoldReason.UNKNOWN_OUTCOME,
    )
    assert not await house.is_free(qr)
    assert await jobs.follow_up(house.context, qr.id) is None
    assert await house.cases(qr) == ["UNKNOWN_OUTCOME"]


async def test_a_question_of_its_own_leaves_silence_to_the_table(house: House) -> None:
    """UNKNOWN enqueues `inquire` beside `follow_up`: only one of them may go on asking."""
    qr = await silent(house)
    house.clock.move(seconds=1)
    assert await jobs.inquire(house.context, qr.id) is None


async def test_a_silent_gateway_that_answers_at_last_settles_the_payment(house: House) -> None:
    qr = await silent(house)
    house.gateway.says = Finding.PAID
    await followed(house, qr, until=timedelta(minutes=1))
    assert (await house.again(qr)).status is PaymentStatus.SUCCESS


async def test_a_gateway_is_not_asked_within_its_quota(house: House) -> None:
    house.gateway.ask_again_after = 300
    qr = await silent(house)
    await followed(house, qr, until=timedelta(hours=2))
    gaps = [later - one for one, later in pairwise(house.gateway.asked)]
    assert min(gaps) >= timedelta(seconds=300)


async def test_what_was_promised_and_never_sent_fails_and_frees_its_bill(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process died between its two commits."""
    kept: list[Payment] = []

    async def dies(_: Any, payment: Payment) -> Payment:
        kept.append(payment)
        raise ConnectionResetError

    monkeypatch.setattr(payment_start, "_sent", dies)
    with pytest.raises(ConnectionResetError):
        await house.pays(await house.collector())
    (promised,) = kept
    assert (await house.again(promised)).status is PaymentStatus.PENDING
    await followed(house, promised, until=timedelta(minutes=2))
    assert (await house.again(promised)).status is PaymentStatus.FAILED
    assert await house.is_free(promised)
    assert house.gateway.asked == []


async def test_a_cancellation_asks_first_and_finds_that_it_was_paid(house: House) -> None:
    by = await house.collector()
    qr = await house.pays(by)
    house.gateway.says = Finding.PAID
    with pytest.raises(TransitionRefused):
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert (await house.again(qr)).status is PaymentStatus.SUCCESS


async def test_a_cancellation_that_nobody_answers_changes_nothing(house: House) -> None:
    by = await house.collector()
    qr = await house.pays(by)
    house.gateway.says = Finding.UNKNOWN
    with pytest.raises(GatewayUnavailable):
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    assert (await house.again(qr)).version == qr.version
    assert not await house.is_free(qr)


async def test_inside_the_quota_the_last_answer_allows_the_cancellation(house: House) -> None:
    house.gateway.ask_again_after = 300
    by = await house.collector()
    qr = await house.pays(by)
    await payment_inquiry.verify(by, qr.id)
    house.clock.move(seconds=10)
    assert (await payment_inquiry.cancel(by, qr.id, reason="customer left")).status is (
        PaymentStatus.CANCELLED
    )
    assert len(house.gateway.asked) == 1


async def test_a_cancelled_qr_is_watched_and_money_that_comes_pays_its_bill_late(
    house: House,
) -> None:
    by = await house.collector()
    qr = await house.pays(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer left")
    house.gateway.says = Finding.PAID
    await followed(house, qr, until=timedelta(days=1))
    after = await house.again(qr)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)
    assert not await house.is_free(qr)
    assert await house.cases(qr) == []


@pytest.mark.parametrize("end", ["expired", "cancelled"])
async def test_a_qr_that_cannot_be_revoked_is_asked_about_three_times_after_its_end(
    house: House, end: str
) -> None:
    by = await house.collector()
    qr = await house.pays(by)
    if end == "cancelled":
        await payment_inquiry.cancel(by, qr.id, reason="customer left")
    else:
        assert qr.expires_at is not None
        house.clock.at = qr.expires_at
        await jobs.follow_up(house.context, qr.id)
    ended = (await house.again(qr)).completed_at
    assert ended == house.clock.at
    house.gateway.asked.clear()
    await followed(house, qr, until=timedelta(days=8))
    an_hour_on = ended + timedelta(hours=1)
    evening = day_end(business_date(ended))
    expected = [ended + timedelta(minutes=5), an_hour_on]
    assert house.gateway.asked == expected + ([evening] if evening > an_hour_on else [])
    assert await jobs.follow_up(house.context, qr.id) is None
    assert (await house.again(qr)).status == end.upper()
    assert await house.is_free(qr)


async def test_money_that_is_proven_after_a_decline_pays_the_bill_late(house: House) -> None:
    """Hard case 8: FAILED, then a genuine success; its webhook only makes us ask."""
    qr = await house.pays(await house.collector())
    assert qr.attempt is not None
    declined = Evidence(grade=Grade.E1, source="test:webhook", finding=Finding.DECLINED)
    await apply(house.context, qr.attempt.reference, declined)
    assert (await house.again(qr)).status is PaymentStatus.FAILED
    claimed = replace(declined, finding=Finding.PAID, money=qr.money, gateway_id="G1")
    await apply(house.context, qr.attempt.reference, claimed)
    assert (await house.again(qr)).status is PaymentStatus.FAILED
    house.gateway.says = Finding.PAID
    await jobs.inquire(house.context, qr.id)
    after = await house.again(qr)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)
    assert not await house.is_free(qr)


async def test_money_that_comes_for_a_bill_paid_otherwise_is_a_case(house: House) -> None:
    by = await house.collector()
    qr = await house.pays(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer pays cash")
    await house.pays(by, PaymentMethod.CASH, contract_number=qr.contract_number, items=qr.items)
    house.gateway.says = Finding.PAID
    await followed(house, qr, until=timedelta(days=1))
    after = await house.again(qr)
    assert after.status is PaymentStatus.CANCELLED
    assert after.attempt is not None
    assert after.attempt.status is AttemptStatus.PAID
    assert await house.cases(qr) == ["LATE_MONEY"]


async def test_why_a_payment_was_cancelled_is_in_the_audit_trail(house: House) -> None:
    by = await house.collector()
    qr = await house.pays(by)
    await payment_inquiry.cancel(by, qr.id, reason="customer pays in cash instead")
    rows = await engine.fetch("select details from audit_event where payment_id = $1", qr.id)
    assert any("customer pays in cash instead" in row["details"] for row in rows)
