"""
The database's clock, on which all processes agree.

An operation reads it once. One that moves money reads it with a statement that it makes anyway.
"""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from db.engine import fetchval

MOST_OLD_SECONDS = 3.0  # of a reading that `recent` still builds on


class Clock:
    """The database's clock, in UTC."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None

    async def __call__(self) -> datetime:
        """Return the time, read from the database now."""
        now: datetime = await fetchval("select clock_timestamp()")
        self._last = (now, time.monotonic())
        return now

    async def recent(self) -> datetime:
        """
        Return the time by a reading at most 3 s old; for reads, never for what is written.

        This process's own clock adds the time since that reading.
        """
        if self._last is not None:
            now, read_at = self._last
            age = time.monotonic() - read_at
            if age < MOST_OLD_SECONDS:
                return now + timedelta(seconds=age)
        return await self()

    async def override(self) -> datetime | None:
        """Return a test's time; None where a statement is to read the database's clock."""
        return None
