"""A limit holds however many payments race, because an update's own condition enforces it."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta

import asyncpg
import pytest

from db import limits
from db.transaction import transaction
from domain.limits import Limit, LimitExceeded, LimitKind, LimitSource, StaffLimits
from domain.refusals import UpstreamUnavailable
from domain.staff import Staff
from tests.support.builders import NOW
from tests.support.database import add_collector

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

TODAY = date(2026, 3, 4)
CASH = tuple(LimitKind)
WALLET = (LimitKind.PER_TRANSACTION, LimitKind.DAILY)


async def report_limits(
    *,
    per_transaction: int = 5_000_000,
    daily: int = 10_000_000,
    used_today: int = 0,
    cash_in_hand: int = 10_000_000,
    today: date = TODAY,
    of: Staff | None = None,
) -> Staff:
    collector = of or await add_collector()
    async with transaction():
        await limits.record_reported(
            collector.staff_id,
            StaffLimits(per_transaction=per_transaction, daily=daily, used_today=used_today),
            cash_in_hand=cash_in_hand,
            today=today,
            now=NOW,
        )
    return collector


async def take(
    collector: Staff, amount: int, *, kinds: tuple[LimitKind, ...] = CASH, reserve: bool = False
) -> LimitExceeded | None:
    try:
        async with transaction():
            await limits.take(collector.staff_id, kinds, amount, today=TODAY, reserve=reserve)
    except LimitExceeded as refusal:
        return refusal
    return None


async def limit_of(
    collector: Staff, kind: LimitKind = LimitKind.DAILY, *, today: date = TODAY
) -> Limit:
    current = await limits.current(collector.staff_id, today, LimitSource.STAFF_MANAGEMENT)
    return next(limit for limit in current if limit.kind is kind)


@pytest.mark.parametrize("reserve", [True, False])
@pytest.mark.invariant(19)
async def test_of_fifty_concurrent_payments_as_many_succeed_as_the_limit_allows(
    reserve: bool,
) -> None:
    collector = await report_limits(daily=1_000_000, used_today=300_000)
    results = await asyncio.gather(*(take(collector, 100_000, reserve=reserve) for _ in range(50)))
    assert results.count(None) == 7
    daily = await limit_of(collector)
    assert (daily.used + daily.reserved, daily.remaining) == (1_000_000, 0)


@pytest.mark.parametrize(
    ("kind", "limit"),
    [
        (LimitKind.PER_TRANSACTION, {"per_transaction": 200_000}),
        (LimitKind.DAILY, {"daily": 200_000}),
        (LimitKind.CASH_IN_HAND, {"cash_in_hand": 200_000}),
    ],
)
async def test_the_last_dong_fits_and_the_next_one_does_not(
    kind: LimitKind, limit: dict[str, int]
) -> None:
    collector = await report_limits(**limit)
    refusal = await take(collector, 200_001)
    assert refusal is not None
    assert (refusal.kind, refusal.limit, refusal.requested) == (kind, 200_000, 200_001)
    assert await take(collector, 200_000) is None
    refusal = await take(collector, 1)
    counts = kind is not LimitKind.PER_TRANSACTION
    assert (refusal is not None) is counts


async def test_a_payment_that_one_limit_refuses_counts_against_no_limit() -> None:
    collector = await report_limits(cash_in_hand=1)
    assert await take(collector, 200_000) is not None
    for kind in LimitKind:
        limit = await limit_of(collector, kind)
        assert (limit.used, limit.reserved) == (0, 0)


async def test_a_wallet_payment_does_not_count_as_cash_in_hand() -> None:
    collector = await report_limits(cash_in_hand=0)
    assert await take(collector, 200_000, kinds=WALLET) is None
    assert (await limit_of(collector, LimitKind.CASH_IN_HAND)).used == 0


async def test_a_reservation_is_used_or_released() -> None:
    collector = await report_limits()
    for end in (limits.use, limits.release):
        assert await take(collector, 200_000, reserve=True) is None
        assert (await limit_of(collector)).reserved == 200_000
        await end(collector.staff_id, CASH, 200_000, today=TODAY)
        assert (await limit_of(collector)).reserved == 0
    assert (await limit_of(collector)).used == 200_000


async def test_late_money_counts_even_past_the_limit() -> None:
    collector = await report_limits(daily=100_000)
    await limits.use_late(collector.staff_id, CASH, 300_000, today=TODAY)
    daily = await limit_of(collector)
    assert (daily.used, daily.remaining) == (300_000, 0)
    refusal = await take(collector, 1)
    assert refusal is not None
    assert refusal.remaining == 0


async def test_payments_and_voids_at_once_never_deadlock_and_count_exactly() -> None:
    collector = await report_limits()
    assert await take(collector, 1_000_000) is None

    async def void() -> None:
        async with transaction():
            await limits.give_back(collector.staff_id, CASH, 10_000, today=TODAY)

    results = await asyncio.gather(
        *(take(collector, 20_000) for _ in range(25)), *(void() for _ in range(25))
    )
    assert results.count(None) == 50
    for kind in (LimitKind.DAILY, LimitKind.CASH_IN_HAND):
        assert (await limit_of(collector, kind)).used == 1_000_000 + 25 * 10_000


async def test_the_first_exceeded_limit_is_named() -> None:
    collector = await report_limits(daily=100, cash_in_hand=50)
    refusal = await take(collector, 200)
    assert refusal is not None
    assert refusal.kind is LimitKind.DAILY


async def test_more_than_was_reserved_cannot_be_released() -> None:
    collector = await report_limits()
    with pytest.raises(asyncpg.CheckViolationError):
        await limits.release(collector.staff_id, CASH, 1, today=TODAY)


@pytest.mark.parametrize(
    ("first_reported", "own", "then_reported", "used"),
    [
        (2_000_000, 0, 2_000_000, 2_000_000),
        (
            2_000_000,
            500_000,
            2_000_000,
            2_500_000,
        ),  # our payments have not reached Staff Management yet
        (2_000_000, 500_000, 2_500_000, 2_500_000),  # they have reached it
        (2_000_000, 500_000, 4_000_000, 4_000_000),  # it knows of other payments too
        (2_000_000, 500_000, 0, 2_500_000),  # it reports less than before
    ],
)
async def test_used_is_the_first_reported_figure_and_the_greater_of_the_later_uses(
    first_reported: int, own: int, then_reported: int, used: int
) -> None:
    collector = await report_limits(used_today=first_reported)
    if own:
        assert await take(collector, own) is None
    await report_limits(of=collector, used_today=then_reported)
    assert (await limit_of(collector)).used == used


async def test_a_new_day_resets_the_daily_limit_and_not_cash_in_hand() -> None:
    collector = await report_limits()
    assert await take(collector, 4_000_000) is None
    tomorrow = TODAY + timedelta(days=1)
    await report_limits(of=collector, today=tomorrow)
    assert (await limit_of(collector, today=tomorrow)).used == 0
    assert (await limit_of(collector, LimitKind.CASH_IN_HAND, today=tomorrow)).used == 4_000_000


async def test_a_raised_ceiling_applies_at_once() -> None:
    collector = await report_limits(daily=100_000)
    assert await take(collector, 200_000) is not None
    await report_limits(of=collector, daily=200_000)
    assert await take(collector, 200_000) is None


async def test_a_day_without_a_report_is_refused() -> None:
    """The day changed between Staff Management's report and the payment."""
    collector = await report_limits(today=TODAY - timedelta(days=1))
    with pytest.raises(UpstreamUnavailable):
        await take(collector, 1)
