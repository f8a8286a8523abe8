"""The database's clock, on which all processes agree. An operation reads it once."""

from __future__ import annotations

from datetime import datetime

from db.engine import fetchval


async def now() -> datetime:
    """Return the database's time in UTC."""
    return await fetchval("select clock_timestamp()")
