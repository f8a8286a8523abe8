"""The condition of one update is the limit: it holds however many race."""

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
from tests.support.database import a_collector

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

TODAY = date(2026, 3, 4)
CASH = tuple(LimitKind)
WALLET = (LimitKind.PER_TRANSACTION, LimitKind.DAILY)


async def known(
    *,
    per_transaction: int = 5_000_000,
    daily: int = 10_000_000,
    used_today: int = 0,
    cash_in_hand: int = 10_000_000,
    today: date = TODAY,
    of: Staff | None = None,
) -> Staff:
    somebody = of or await a_collector()
    async with transaction():
        await limits.learn(
            somebody.staff_id,
            StaffLimits(per_transaction=per_transaction, daily=daily, used_today=used_today),
            cash_in_hand=cash_in_hand,
            today=today,
            now=NOW,
        )
    return somebody


async def take(
    by: Staff, amount: int, *, kinds: tuple[LimitKind, ...] = CASH, reserve: bool = False
) -> LimitExceeded | None:
    try:
        async with transaction():
            await limits.take(by.staff_id, kinds, amount, today=TODAY, reserve=reserve)
    except LimitExceeded as refused:
        return refused
    return None


async def seen(by: Staff, kind: LimitKind = LimitKind.DAILY, *, today: date = TODAY) -> Limit:
    found = await limits.current(by.staff_id, today, LimitSource.STAFF_MANAGEMENT)
    return next(item for item in found if item.kind is kind)


@pytest.mark.parametrize("reserve", [True, False])
async def test_of_fifty_at_once_exactly_as_many_fit_as_the_limit_holds(reserve: bool) -> None:
    by = await known(daily=1_000_000, used_today=300_000)
    results = await asyncio.gather(*(take(by, 100_000, reserve=reserve) for _ in range(50)))
    assert results.count(None) == 7
    daily = await seen(by)
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
    by = await known(**limit)
    refused = await take(by, 200_001)
    assert refused is not None
    assert (refused.kind, refused.limit, refused.requested) == (kind, 200_000, 200_001)
    assert await take(by, 200_000) is None
    refused = await take(by, 1)
    counts = kind is not LimitKind.PER_TRANSACTION
    assert (refused is not None) is counts


async def test_what_one_limit_refuses_counts_against_no_other() -> None:
    by = await known(cash_in_hand=1)
    assert await take(by, 200_000) is not None
    for kind in LimitKind:
        limit = await seen(by, kind)
        assert (limit.used, limit.reserved) == (0, 0)


async def test_the_wallet_is_no_cash_in_hand() -> None:
    by = await known(cash_in_hand=0)
    assert await take(by, 200_000, kinds=WALLET) is None
    assert (await seen(by, LimitKind.CASH_IN_HAND)).used == 0


async def test_a_reservation_becomes_use_or_is_given_back() -> None:
    by = await known()
    for end in (limits.use, limits.release):
        assert await take(by, 200_000, reserve=True) is None
        assert (await seen(by)).reserved == 200_000
        await end(by.staff_id, CASH, 200_000, today=TODAY)
        assert (await seen(by)).reserved == 0
    assert (await seen(by)).used == 200_000


async def test_late_money_counts_even_past_the_limit() -> None:
    by = await known(daily=100_000)
    await limits.use_late(by.staff_id, CASH, 300_000, today=TODAY)
    daily = await seen(by)
    assert (daily.used, daily.remaining) == (300_000, 0)
    refused = await take(by, 1)
    assert refused is not None
    assert refused.remaining == 0


async def test_more_than_was_reserved_cannot_be_given_back() -> None:
    by = await known()
    with pytest.raises(asyncpg.CheckViolationError):
        await limits.release(by.staff_id, CASH, 1, today=TODAY)


@pytest.mark.parametrize(
    ("first", "ours", "then", "used"),
    [
        (2_000_000, 0, 2_000_000, 2_000_000),
        (2_000_000, 500_000, 2_000_000, 2_500_000),  # ours have not reached them yet
        (2_000_000, 500_000, 2_500_000, 2_500_000),  # they have
        (2_000_000, 500_000, 4_000_000, 4_000_000),  # they know of more than we
        (2_000_000, 500_000, 0, 2_500_000),  # they forgot
    ],
)
async def test_used_is_what_they_said_first_and_the_greater_of_what_followed(
    first: int, ours: int, then: int, used: int
) -> None:
    by = await known(used_today=first)
    if ours:
        assert await take(by, ours) is None
    await known(of=by, used_today=then)
    assert (await seen(by)).used == used


async def test_a_new_day_begins_anew_but_cash_in_hand_stays_in_hand() -> None:
    by = await known()
    assert await take(by, 4_000_000) is None
    tomorrow = TODAY + timedelta(days=1)
    await known(of=by, today=tomorrow)
    assert (await seen(by, today=tomorrow)).used == 0
    assert (await seen(by, LimitKind.CASH_IN_HAND, today=tomorrow)).used == 4_000_000


async def test_a_raised_ceiling_holds_at_once() -> None:
    by = await known(daily=100_000)
    assert await take(by, 200_000) is not None
    await known(of=by, daily=200_000)
    assert await take(by, 200_000) is None


async def test_a_day_of_which_nothing_is_known_is_refused_and_never_unlimited() -> None:
    """The day turned between the question to Staff Management and the payment."""
    by = await known(today=TODAY - timedelta(days=1))
    with pytest.raises(UpstreamUnavailable):
        await take(by, 1)
