"""One bounded retry for transactions that lose a race for a bill or an order's reference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from db.bills import TakenMeanwhile
from db.orders import ReferenceTaken

T = TypeVar("T")

MAX_TRIES = 5


async def retry_when_taken(work: Callable[[], Awaitable[T]]) -> T:
    """
    Return the result of *work*, a whole transaction, begun again each time it loses the race.

    Raises TakenMeanwhile or ReferenceTaken when it has lost MAX_TRIES times; nothing is written.
    """
    for _ in range(MAX_TRIES - 1):
        try:
            return await work()
        except (TakenMeanwhile, ReferenceTaken):
            continue
    return await work()
