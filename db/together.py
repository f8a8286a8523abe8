"""Reads that many requests make at once, as one statement."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

MOST_KEYS = 64  # of one statement


class Together(Generic[K, V]):
    """
    Reads by key, where one statement reads all keys that wait when it starts.

    One statement is under way at a time. Who comes meanwhile waits for the next one, so everyone
    reads what was committed before they came. Never for a transaction: it reads by itself.
    """

    def __init__(self, read: Callable[[Collection[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._waiting: dict[K, asyncio.Future[V | None]] = {}
        self._reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """Return the key's value, None without one. Raises what the statement raised."""
        found = self._waiting.get(key)
        if found is None:
            found = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._reading is None:
            # Without the caller's context: its transaction or request must not reach others.
            self._reading = asyncio.create_task(self._read_all(), context=contextvars.Context())
        return await asyncio.shield(found)

    async def _read_all(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[:MOST_KEYS]
                await self._read_some({key: self._waiting.pop(key) for key in keys})
        finally:
            self._reading = None

    async def _read_some(self, wanted: Mapping[K, asyncio.Future[V | None]]) -> None:
        try:
            values = await self._read(list(wanted))
        except Exception as error:
            for found in wanted.values():
                found.set_exception(error)
                found.exception()  # retrieved, because those who wanted it may have left
        else:
            for key, found in wanted.items():
                found.set_result(values.get(key))
