"""Vietnamese days, independent of the machine's time zone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.calendar import business_date, day_end, local


@pytest.fixture(params=["UTC", "Asia/Ho_Chi_Minh", "America/Los_Angeles", "Pacific/Kiritimati"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2026-03-04T16:59:59.999999Z", date(2026, 3, 4)),
        ("2026-03-04T17:00:00Z", date(2026, 3, 5)),
        ("2025-12-31T16:59:59Z", date(2025, 12, 31)),
        ("2025-12-31T17:00:00Z", date(2026, 1, 1)),
        ("2028-02-28T16:59:59Z", date(2028, 2, 28)),
        ("2028-02-28T17:00:00Z", date(2028, 2, 29)),
        ("2028-02-29T16:59:59Z", date(2028, 2, 29)),
        ("2028-02-29T17:00:00Z", date(2028, 3, 1)),
        ("2027-02-28T17:00:00Z", date(2027, 3, 1)),
        ("2026-03-04T09:59:59-07:00", date(2026, 3, 4)),
    ],
)
def test_a_day_begins_at_17_utc_in_every_zone(zone: str, moment: str, day: date) -> None:
    assert business_date(datetime.fromisoformat(moment)) == day


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    st.integers(-12, 14),
)
def test_each_moment_lies_in_its_day_and_the_end_of_a_day_is_in_the_next(
    moment: datetime, offset: int
) -> None:
    in_another_zone = moment.astimezone(timezone(timedelta(hours=offset)))
    day = business_date(in_another_zone)
    end = day_end(day)
    assert end - timedelta(days=1) <= moment < end
    assert end.tzinfo is UTC
    assert business_date(end) == day + timedelta(days=1)
    assert local(moment) == moment
