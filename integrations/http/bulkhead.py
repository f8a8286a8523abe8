"""
The bulkhead of one counterpart: a bound on the calls to it that run at the same time.

A call takes a place, waits in order of arrival if all are taken, and gives it back however it
ends. Each call uses one connection, so the places bound the connections too.
"""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import Gauge

from integrations.http.calls import Call, Proceed
from integrations.http.failures import Exhausted

_TAKEN = Gauge("mobinet_upstream_places_taken", "Calls that run", ("system",))
_PLACES = Gauge("mobinet_upstream_places", "Calls that may run at once", ("system",))
_WAITING = Gauge("mobinet_upstream_waiting", "Calls that wait for a place", ("system",))

_log = structlog.stdlib.get_logger("integrations.http.bulkhead")


class Bulkhead:
    """A call waits at most *patience* seconds for one of the *places*; then it is Exhausted."""

    def __init__(self, system: str, *, places: int, patience: float) -> None:
        self._system = system
        self._patience = patience
        self._places = asyncio.Semaphore(places)
        self._half = places // 2
        self._taken = 0
        self._is_short = False  # the places ran out, and more than half are taken since
        self._taken_gauge = _TAKEN.labels(system)
        self._waiting_gauge = _WAITING.labels(system)
        _PLACES.labels(system).set(places)

    async def __call__(self, call: Call, proceed: Proceed) -> object:
        await self._take(call)
        self._taken += 1
        self._taken_gauge.inc()
        try:
            return await proceed(call)
        finally:
            self._taken -= 1
            self._taken_gauge.dec()
            self._places.release()
            if self._is_short and self._taken <= self._half:
                self._is_short = False
                _log.info("upstream_places_free", system=self._system)

    async def _take(self, call: Call) -> None:
        """Take a place. Raises Exhausted."""
        if not self._places.locked():
            await self._places.acquire()
            return
        if not self._is_short:
            self._is_short = True
            _log.warning("upstream_places_exhausted", system=self._system)
        end = min(asyncio.get_running_loop().time() + self._patience, call.deadline)
        self._waiting_gauge.inc()
        try:
            async with asyncio.timeout_at(end):
                await self._places.acquire()
        except TimeoutError:
            raise Exhausted(call.system, call.operation) from None
        finally:
            self._waiting_gauge.dec()
