"""Vietnamese days. All moments outside this module are UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

VIETNAM = ZoneInfo("Asia/Ho_Chi_Minh")


def local(moment: datetime) -> datetime:
    """Return *moment* in Vietnamese time."""
    return moment.astimezone(VIETNAM)


def business_date(moment: datetime) -> date:
    """Return the Vietnamese day of *moment*; a day begins at 17:00 UTC."""
    return local(moment).date()


def day_end(day: date) -> datetime:
    """Return the first moment after the Vietnamese *day*, in UTC."""
    return datetime.combine(day + timedelta(days=1), time(), VIETNAM).astimezone(UTC)
