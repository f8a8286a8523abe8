"""Clocks that a test sets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from db.clock import Clock


class SetClock(Clock):
    """A clock whose every reading is what *read* returns."""

    def __init__(self, read: Callable[[], Awaitable[datetime]]) -> None:
        super().__init__()
        self._read = read

    async def __call__(self) -> datetime:
        return await self._read()

    async def recent(self) -> datetime:
        return await self._read()

    async def override(self) -> datetime | None:
        return await self._read()
