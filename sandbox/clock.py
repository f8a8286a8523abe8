"""Times as the systems write them: Unix seconds inside, ISO or VNPay's GMT+7 digits outside."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))
COMPACT = "%Y%m%d%H%M%S"


def now() -> float:
    return time.time()


def iso(moment: float) -> str:
    return (
        datetime.fromtimestamp(moment, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def local_iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, VIETNAM).isoformat(timespec="seconds")


def local_day(moment: float) -> str:
    return datetime.fromtimestamp(moment, VIETNAM).date().isoformat()


def compact(moment: float) -> str:
    return datetime.fromtimestamp(moment, VIETNAM).strftime(COMPACT)


def read_compact(digits: str) -> float | None:
    """Return the moment of `yyyyMMddHHmmss` in GMT+7, or None where the digits are not a date."""
    if len(digits) != 14 or not digits.isascii() or not digits.isdigit():
        return None
    try:
        return datetime.strptime(digits, COMPACT).replace(tzinfo=VIETNAM).timestamp()
    except ValueError:
        return None
