"""
The display cache: what the internal systems said of contracts, for the `customer` query alone.

A reading is fresh for five minutes. For an hour it is served, marked stale, where its system does
not answer in time. Whatever touches a contract here drops its readings: our payments at once in
this process and by a hint in all others. A decision about money never reads them, and what our own
tables hold (locks, paid bills) is read anew each time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from prometheus_client import Counter

from db.clock import Clock
from domain.customers import Part, PartName
from domain.refusals import UpstreamUnavailable
from resolvers.hub import RESYNC, Hub

FRESH = timedelta(minutes=5)
SERVED = timedelta(hours=1)
MAX_READINGS = 20_000
READ_SECONDS = 2.5
"""How long one `customer` query waits for the systems, all parts together."""

CONTRACTS: Final = "contracts"
"""The channel of the contracts of which something changed here."""

READINGS = Counter("mobinet_display_readings", "Parts of customers, by their origin", ("origin",))
_FROM_CACHE, _FROM_SYSTEM, _STALE, _REFUSED = (
    READINGS.labels(origin) for origin in ("cache", "system", "stale", "refused")
)

SYSTEMS: Final = {
    PartName.CUSTOMER: "Customer Management",
    PartName.BILLS: "Revenue Management",
    PartName.FEES: "Revenue Management",
    PartName.HISTORY: "Revenue Management",
    PartName.DEBT: "Debt Management",
}

T = TypeVar("T")
Key = tuple[str, PartName]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Generic[T]):
    """What a system said of one part of a contract, and when it was asked."""

    value: T
    part: Part


class DisplayCache:
    """The readings of this process, the least recently used of which are dropped."""

    def __init__(self, *, size: int = MAX_READINGS) -> None:
        self._size = size
        self._readings: OrderedDict[Key, Reading[Any]] = OrderedDict()
        self._calls: dict[Key, asyncio.Task[Reading[Any]]] = {}

    async def read(
        self,
        contract_number: str,
        name: PartName,
        fetch: Callable[[str], Awaitable[T]],
        *,
        clock: Clock,
        deadline: float,
    ) -> Reading[T]:
        """
        Return a part of a contract: a fresh reading, else what *fetch* returns, else a stale one.

        All who ask at once share one call, which goes on without those that leave. `deadline` is a
        time of the event loop. Raises UpstreamUnavailable, and what *fetch* refuses with.
        """
        key, now = (contract_number, name), await clock.recent()
        reading = self._readings.get(key)
        if reading is not None and now - reading.part.as_of < FRESH:
            self._readings.move_to_end(key)
            _FROM_CACHE.inc()
            return reading
        call = self._calls.get(key) or self._start(key, fetch, now)
        try:
            async with asyncio.timeout_at(deadline):
                reading = await asyncio.shield(call)
        except (TimeoutError, UpstreamUnavailable) as error:
            return self._stale(key, now, error)
        _FROM_SYSTEM.inc()
        return reading

    def drop(self, contract_number: str) -> None:
        """Drop all that is known of a contract, and the results of calls that are under way."""
        for name in PartName:
            self._readings.pop((contract_number, name), None)
            self._calls.pop((contract_number, name), None)

    def drop_all(self) -> None:
        self._readings.clear()
        self._calls.clear()

    async def follow(self, hub: Hub) -> None:
        """Drop what other processes announce, for as long as this process lives."""
        async with hub.watch(CONTRACTS, feed=1000) as hints:
            async for hint in hints:
                if hint is RESYNC:
                    self.drop_all()
                else:
                    self.drop(hint)

    def _start(
        self, key: Key, fetch: Callable[[str], Awaitable[T]], now: datetime
    ) -> asyncio.Task[Reading[T]]:
        call = asyncio.create_task(self._call(key, fetch, now))
        call.add_done_callback(_retrieve_error)
        self._calls[key] = call
        return call

    async def _call(
        self, key: Key, fetch: Callable[[str], Awaitable[T]], now: datetime
    ) -> Reading[T]:
        contract_number, name = key
        is_current = False
        try:
            value = await fetch(contract_number)
        finally:
            if self._calls.get(key) is asyncio.current_task():  # else it was dropped meanwhile
                del self._calls[key]
                is_current = True
        reading = Reading(value=value, part=Part(name=name, as_of=now, stale=False))
        if is_current:
            self._readings[key] = reading
            self._readings.move_to_end(key)
            if len(self._readings) > self._size:
                self._readings.popitem(last=False)
        return reading

    def _stale(self, key: Key, now: datetime, error: Exception) -> Reading[Any]:
        """Return the last reading, marked stale. Raises UpstreamUnavailable if it is too old."""
        reading = self._readings.get(key)
        if reading is not None and now - reading.part.as_of < SERVED:
            _STALE.inc()
            return replace(reading, part=replace(reading.part, stale=True))
        _REFUSED.inc()
        if isinstance(error, UpstreamUnavailable):
            raise error
        raise UpstreamUnavailable(system=SYSTEMS[key[1]]) from error


def _retrieve_error(call: asyncio.Task[Reading[Any]]) -> None:
    """Retrieve the error of a call that nobody awaits any more, so that asyncio does not log it."""
    if not call.cancelled():
        call.exception()
