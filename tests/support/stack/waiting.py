"""Waiting until something becomes true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds after which a wait fails; far more than a busy machine needs.
PATIENCE = 40.0


async def eventually(
    probe: Callable[[], Awaitable[T]],
    holds: Callable[[T], bool] = bool,
    *,
    within: float = PATIENCE,
) -> T:
    """Call *probe* until its answer holds, and return it; fail after *within* seconds."""
    deadline = time.monotonic() + within
    while True:
        answer = await probe()
        if holds(answer):
            return answer
        assert time.monotonic() < deadline, f"not within {within} s; last: {answer!r}"
        await asyncio.sleep(0.05)


async def equals(probe: Callable[[], Awaitable[T]], expected: T, *, within: float = PATIENCE) -> T:
    """Call *probe* until it returns *expected*."""
    return await eventually(probe, lambda answer: answer == expected, within=within)
