"""Limits over midnight, and with and without Staff Management."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import orjson
import pytest

from db import engine
from domain.calendar import business_date
from domain.limits import Limit, LimitKind, LimitSource
from domain.methods import GatewayName, PaymentMethod
from domain.payment_evidence import GatewayResult
from domain.refusals import UpstreamUnavailable
from integrations.gateways import Gateways
from resolvers import limits, payment_inquiry, payments
from resolvers.context import Context
from tests.support.backend import Backend

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

EVENING = datetime(2030, 3, 4, 16, 59, 59, tzinfo=UTC)  # one second before midnight in Vietnam


async def daily_limit(by: Context) -> Limit:
    return next(item for item in await limits.of_staff(by) if item.kind is LimitKind.DAILY)


async def test_a_payment_counts_on_the_day_on_which_it_was_made(backend: Backend) -> None:
    backend.clock.at = EVENING
    by = await backend.collector()
    before = await backend.new_payment(by, PaymentMethod.CASH)
    assert (await daily_limit(by)).used == before.amount
    assert (await daily_limit(by)).resets_at == datetime(2030, 3, 4, 17, tzinfo=UTC)
    backend.clock.move(seconds=1)
    assert (await daily_limit(by)).used == 0
    after = await backend.new_payment(by, PaymentMethod.CASH)
    assert (before.business_date.day, after.business_date.day) == (4, 5)
    assert (await daily_limit(by)).used == after.amount
    in_hand = next(
        item for item in await limits.of_staff(by) if item.kind is LimitKind.CASH_IN_HAND
    )
    assert in_hand.used == before.amount + after.amount


async def test_limits_of_staff_management_are_used_for_fifteen_minutes(
    backend: Backend,
) -> None:
    by = await backend.collector()
    assert (await daily_limit(by)).source is LimitSource.STAFF_MANAGEMENT
    with backend.sandbox.broken("staff", "refuse"):
        backend.clock.move(seconds=60)
        assert (await daily_limit(by)).source is LimitSource.STAFF_MANAGEMENT
        backend.clock.move(minutes=14)
        assert (await daily_limit(by)).source is LimitSource.CACHED
        cash = await backend.new_payment(by, PaymentMethod.CASH)
        assert (await daily_limit(by)).used == cash.amount
        backend.clock.move(seconds=1)
        with pytest.raises(UpstreamUnavailable):
            await daily_limit(by)
        with pytest.raises(UpstreamUnavailable):
            await backend.new_payment(by, PaymentMethod.CASH)
        qr = await backend.new_payment(by)  # no staff money: limits are not requested
        assert qr.business_date == business_date(backend.clock.at)


async def test_yesterdays_limits_are_not_used_today(backend: Backend) -> None:
    backend.clock.at = EVENING.replace(day=10)
    by = await backend.collector()
    with backend.sandbox.broken("staff", "refuse"):
        backend.clock.move(seconds=1)
        with pytest.raises(UpstreamUnavailable):
            await backend.new_payment(by, PaymentMethod.CASH)


async def test_a_higher_usage_reported_by_staff_management_counts(backend: Backend) -> None:
    by = await backend.collector()
    assert by.actor is not None
    paid = await backend.new_payment(by, PaymentMethod.CASH)
    backend.sandbox.change_staff(by.actor.id, used_today=paid.amount + 3_000_000)
    backend.clock.move(seconds=61)
    assert (await daily_limit(by)).used == paid.amount + 3_000_000
    backend.sandbox.change_staff(by.actor.id, used_today=0)
    backend.clock.move(seconds=61)
    assert (await daily_limit(by)).used == paid.amount


async def test_a_lowered_limit_applies_within_a_minute(backend: Backend) -> None:
    by = await backend.collector()
    assert by.actor is not None
    backend.sandbox.change_staff(by.actor.id, daily_limit=1)
    backend.clock.move(seconds=61)
    preview = await limits.preview(by, PaymentMethod.CASH, 2)
    assert not preview.allowed
    assert (await limits.preview(by, PaymentMethod.VNPAY_QR, 2)).allowed


async def test_a_reservation_falls_back_when_a_wallet_payment_ends(backend: Backend) -> None:
    by = await backend.collector()
    backend.gateway.name = GatewayName.FPT_PAY
    backend.gateway.inquiry_result = GatewayResult.UNPAID
    by = replace(by, gateways=Gateways([backend.gateway]))

    async def token(*_: object) -> str:
        return "wallet"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payments, "_wallet_token", token)
        opened = await backend.new_payment(by, PaymentMethod.FPT_PAY)
    assert (await daily_limit(by)).reserved == opened.amount
    await payment_inquiry.cancel(by, opened.id, reason="customer left")
    assert ((await daily_limit(by)).reserved, (await daily_limit(by)).used) == (0, 0)


async def recorded_drifts(of: Context) -> list[dict[str, int]]:
    assert of.actor is not None
    rows = await engine.fetch(
        "select details from audit_event where action = 'limitDrift' and details->>'staff' = $1"
        " order by id",
        of.actor.id,
    )
    return [orjson.loads(row["details"]) for row in rows]


async def test_a_drift_of_limits_is_logged_once_and_never_lowers_our_count(
    backend: Backend,
) -> None:
    """Hard case 19."""
    by = await backend.collector()
    assert by.actor is not None
    paid = await backend.new_payment(by, PaymentMethod.CASH)

    async def report_usage(used_today: int) -> None:
        assert by.actor is not None
        backend.sandbox.change_staff(by.actor.id, used_today=used_today)
        backend.clock.move(seconds=61)
        await daily_limit(by)

    await report_usage(paid.amount)
    assert await recorded_drifts(by) == []
    counted = limits.DRIFTS._value.get()
    await report_usage(paid.amount + 1)
    await report_usage(paid.amount + 1)  # the same report again
    assert [(drift["reported"], drift["own_used"]) for drift in await recorded_drifts(by)] == [
        (paid.amount + 1, paid.amount)
    ]
    assert limits.DRIFTS._value.get() == counted + 1
    await report_usage(paid.amount + 2)
    assert len(await recorded_drifts(by)) == 2


@pytest.mark.parametrize(("setting", "expected"), [(None, 7_000_000), (0, 0), (123_000, 123_000)])
async def test_the_cash_limit_is_the_setting_or_the_daily_limit(
    backend: Backend, setting: int | None, expected: int
) -> None:
    terms = replace(backend.context.terms, cash_in_hand_limit=setting)
    backend.context = replace(backend.context, terms=terms)
    by = f"NV{next(backend.collectors)}"
    backend.sandbox.change_staff(by, daily_limit=7_000_000)
    found = await limits.of_staff(await backend.as_staff(by))
    ceilings = {item.kind: item.limit for item in found}
    assert ceilings[LimitKind.CASH_IN_HAND] == expected
    assert ceilings[LimitKind.DAILY] == 7_000_000


@pytest.mark.parametrize(
    ("last_second", "days"),
    [
        (datetime(2031, 12, 31, 16, 59, 59, tzinfo=UTC), ("2031-12-31", "2032-01-01")),
        (datetime(2032, 2, 28, 16, 59, 59, tzinfo=UTC), ("2032-02-28", "2032-02-29")),
        (datetime(2032, 2, 29, 16, 59, 59, tzinfo=UTC), ("2032-02-29", "2032-03-01")),
    ],
)
@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Pacific/Kiritimati"])
async def test_the_daily_turnover_restarts_with_the_vietnamese_day_in_every_time_zone(
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    last_second: datetime,
    days: tuple[str, str],
    zone: str,
) -> None:
    """Hard case 18."""
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        backend.clock.at = last_second
        by = await backend.collector()
        before = await backend.new_payment(by, PaymentMethod.CASH)
        backend.clock.move(seconds=1)
        after = await backend.new_payment(by, PaymentMethod.CASH)
        assert (str(before.business_date), str(after.business_date)) == days
        assert (await daily_limit(by)).used == after.amount
    finally:
        monkeypatch.undo()
        time.tzset()
