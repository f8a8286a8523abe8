"""
The HTTP client of every counterpart: a call passes through the same steps to a transport.

A call ends in one of three ways. The difference between the two failures protects money:

    NotConnected  no request was sent, so the counterpart did nothing (BreakerOpen: our breaker)
    Unanswered    the request was sent; then silence, a 5xx, or an unreadable answer
    an answer     any other status, as `read` interprets it, or the exception that `read` raises

No log line, error or repr here holds a body, a header or a query: they contain tokens and phones.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Protocol, TypeVar

from integrations.http.breaker import Health
from integrations.http.bulkhead import Bulkhead
from integrations.http.calls import Call, Timeouts, Transport, through
from integrations.http.failures import Unreadable
from integrations.http.messages import Answer, Request
from integrations.http.pool import PooledTransport
from integrations.http.steps import Breakers, Metrics, end_in_time, milliseconds, redact, retry
from integrations.http.tls import Tls, ssl_context

Result = TypeVar("Result")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

PLACES = 100
"""How many calls to one counterpart may run at once in a process."""


class OpenTransport(Protocol):
    """Opens a transport to an address."""

    def __call__(
        self, url: str, *, headers: Mapping[str, str], tls: ssl.SSLContext, timeouts: Timeouts
    ) -> Transport: ...


class Upstream:
    """The HTTP client of one counterpart, with one circuit breaker for each operation."""

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        timeouts: Timeouts | None = None,
        open_for: float = 15.0,
        places: int = PLACES,
        transport: OpenTransport = PooledTransport,
    ) -> None:
        """Set `open_for`, the seconds that an open breaker stays open."""
        self.name = name
        timeouts = timeouts or Timeouts()
        self._total = timeouts.total
        self._transport = transport(
            base_url.rstrip("/"),
            headers=headers or {},
            tls=ssl_context(tls or Tls()),
            timeouts=timeouts,
        )
        self._breakers = Breakers(name, open_for=open_for)
        self._way = through(
            [
                retry,
                self._breakers,
                Metrics(name),
                redact,
                Bulkhead(name, places=places, patience=timeouts.place),
                end_in_time,
            ],
            self._exchange,
        )

    def __repr__(self) -> str:
        return f"Upstream({self.name!r})"

    async def aclose(self) -> None:
        await self._transport.aclose()

    def ready(self, operation: str) -> bool:
        """Return False while the breaker of *operation* is open."""
        return self._breakers.of(operation).ready

    def retry_after_ms(self, operation: str) -> int | None:
        """Return the milliseconds until a call makes sense; None while the breaker is closed."""
        breaker = self._breakers.of(operation)
        return None if breaker.ready else milliseconds(breaker.retry_after)

    def snapshot(self) -> tuple[Health, ...]:
        return tuple(breaker.health() for breaker in self._breakers.by_operation.values())

    async def call(self, request: Request, read: Callable[[Answer], Result]) -> Result:
        """
        Send *request*, with retries, and return what *read* makes of the answer.

        A request that was not sent is retried, but not for an open breaker or a lack of places.
        One that was sent is retried if it is `repeatable`. Raises NotConnected, Unanswered, and
        what *read* raises but Unreadable.
        """
        call = Call(
            system=self.name,
            request=request,
            content=request.content(),
            headers=_headers(request),
            read=read,
            deadline=asyncio.get_running_loop().time() + self._total,
        )
        return await self._way(call)

    async def _exchange(self, call: Call) -> object:
        """Return what the call's reader makes of the answer. Raises Unreadable for a 5xx."""
        answer = await self._transport.exchange(call)
        call.progress.status = answer.status
        if answer.status >= 500:
            raise Unreadable("server error")
        return call.read(answer)


def _headers(request: Request) -> dict[str, str]:
    current = request_id.get()
    if current is None or not current.isascii() or not current.isprintable():
        return request.all_headers()
    return {"X-Request-Id": current} | request.all_headers()
