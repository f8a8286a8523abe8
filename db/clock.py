"""The clock: the database's, so that every process agrees. Read once an operation, then passed on."""

from __future__ import annotations

from datetime import datetime

from db.engine import fetchval


async def now() -> datetime:
    """Return the database's time, UTC."""
    return await fetchval("select clock_timestamp()")
