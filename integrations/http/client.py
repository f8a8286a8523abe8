"""
The HTTP client of every counterpart: timeouts, retries where they are safe, and a circuit breaker.

A call ends in one of three ways. The difference between the two failures protects money:

    NotConnected  no request was sent, so the counterpart did nothing (BreakerOpen: our breaker)
    Unanswered    the request was sent; then silence, a 5xx, or an unreadable answer
    an answer     any other status, as `read` interprets it, or the exception that `read` raises

No log line, error or repr here holds a body, a header or a query: they contain tokens and phones.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

import httpx
import stamina
import structlog
from prometheus_client import Counter, Histogram

from integrations.http.breaker import Breaker, Health
from integrations.http.failures import (
    BreakerOpen,
    NotConnected,
    Unanswered,
    Unreadable,
    Unusable,
)
from integrations.http.messages import Answer, Request

Result = TypeVar("Result")

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

RETRIES = 3
_MAX_RETRY_WAIT_SECONDS = 1.3  # before a retry, jitter included
# Shorter than servers keep idle connections, so that a charge does not meet a closing connection.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0)

_CALLS = Counter(
    "mobinet_upstream_calls", "Calls by how they ended", ("system", "operation", "end")
)
_SECONDS = Histogram("mobinet_upstream_seconds", "Time of one call", ("system", "operation"))

_log = structlog.stdlib.get_logger("integrations.http.client")

# These libraries log whole addresses and headers at INFO.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """
    Seconds: `read` is the longest silence within an answer, `total` bounds a call with its retries.

    `total` stays below the 25 seconds of a mutation.
    """

    connect: float = 3.0
    read: float = 10.0
    total: float = 24.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Paths: our client certificate, its key, and the authority of the server certificate."""

    cert: str | None = None
    key: str | None = None
    ca: str | None = None


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
    ) -> None:
        """Set `open_for`, the seconds that an open breaker stays open."""
        self.name = name
        timeouts = timeouts or Timeouts()
        self._total = timeouts.total
        self._open_for = open_for
        self._breakers: dict[str, Breaker] = {}
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            headers=headers,
            verify=_ssl_context(tls or Tls()),
            timeout=httpx.Timeout(timeouts.read, connect=timeouts.connect, pool=timeouts.connect),
            limits=_LIMITS,
            trust_env=False,
        )

    def __repr__(self) -> str:
        return f"Upstream({self.name!r})"

    async def aclose(self) -> None:
        await self._client.aclose()

    def ready(self, operation: str) -> bool:
        """Return False while the breaker of *operation* is open."""
        return self._breaker(operation).ready

    def retry_after_ms(self, operation: str) -> int | None:
        """Return the milliseconds until a call makes sense; None while the breaker is closed."""
        breaker = self._breaker(operation)
        return None if breaker.ready else _milliseconds(breaker.retry_after)

    def snapshot(self) -> tuple[Health, ...]:
        return tuple(breaker.health() for breaker in self._breakers.values())

    async def call(self, request: Request, read: Callable[[Answer], Result]) -> Result:
        """
        Send *request*, with retries, and return what *read* makes of the answer.

        A request that was not sent is always retried. One that was sent is retried if it is
        `repeatable`. Raises NotConnected, Unanswered, and what *read* raises but Unreadable.
        """
        prepared = _Prepared(
            request=request,
            content=request.content(),
            headers=_headers(request),
            deadline=asyncio.get_running_loop().time() + self._total,
        )
        in_doubt = False

        def is_retryable(error: Exception) -> bool:
            if isinstance(error, BreakerOpen):
                return False
            sent_safely = request.repeatable and isinstance(error, Unanswered)
            return sent_safely or isinstance(error, NotConnected)

        try:
            async for attempt in stamina.retry_context(
                on=is_retryable,
                attempts=1 + RETRIES,
                timeout=max(self._total - _MAX_RETRY_WAIT_SECONDS, 0.01),
                wait_initial=0.2,
                wait_max=1.0,
                wait_jitter=0.3,
            ):
                with attempt:
                    try:
                        return await self._try(prepared, read)
                    except Unanswered:
                        in_doubt = True
                        raise
        except NotConnected as error:
            if in_doubt:  # an earlier try was sent
                unanswered = Unanswered(self.name, request.operation, error.reason)
                unanswered.retry_after_ms = error.retry_after_ms
                raise unanswered from error
            raise
        raise AssertionError("the last attempt returns or raises")

    async def _try(self, prepared: _Prepared, read: Callable[[Answer], Result]) -> Result:
        """Send once; record in breaker, metrics and log how it ended."""
        request = prepared.request
        breaker = self._breaker(request.operation)
        if not breaker.enter(request.subject):
            wait = _milliseconds(breaker.seconds_until_ready(request.subject))
            raise BreakerOpen(self.name, request.operation, wait)
        progress = _Progress(started_at=time.perf_counter())
        try:
            result = read(await self._exchange(prepared, progress))
        except (httpx.HTTPError, TimeoutError, Unreadable) as error:
            raise self._record_failure(request, breaker, progress, error) from error
        except Exception:
            # The reader understood a definite refusal.
            breaker.record_success(progress.seconds)
            self._count(request, progress, "refused")
            _log.info("upstream_refused", **self._log_fields(request, progress))
            raise
        except BaseException:
            breaker.release_probe()
            raise
        breaker.record_success(progress.seconds)
        self._count(request, progress, "answered")
        return result

    async def _exchange(self, prepared: _Prepared, progress: _Progress) -> Answer:
        """Return the answer. Raises Unreadable for a 5xx."""
        async with asyncio.timeout_at(prepared.deadline):
            response = await self._client.request(
                prepared.request.method,
                prepared.request.target,
                content=prepared.content,
                headers=prepared.headers,
                extensions={"trace": progress.trace},
            )
        progress.status = response.status_code
        if response.status_code >= 500:
            raise Unreadable("server error")
        return Answer(response.status_code, response.content)

    def _record_failure(
        self, request: Request, breaker: Breaker, progress: _Progress, error: Exception
    ) -> NotConnected | Unanswered:
        """Return the failure for the caller."""
        sent, status = progress.sent, progress.status
        reason = str(error) if isinstance(error, Unreadable) else type(error).__name__
        if isinstance(error, httpx.PoolTimeout):  # our own connections ran out
            breaker.release_probe()
        elif isinstance(error, Unusable):
            breaker.record_success(progress.seconds)
        else:
            # A request that was not sent cannot have failed because of its subject.
            breaker.record_failure(
                reason if status is None else f"{status} {reason}",
                progress.seconds,
                request.subject if sent else None,
            )
        self._count(request, progress, "unanswered" if sent else "not_sent")
        fields = self._log_fields(request, progress)
        _log.warning("upstream_failed", **fields, reason=reason, sent=sent)
        failure = Unanswered if sent else NotConnected
        return failure(self.name, request.operation, reason)

    def _breaker(self, operation: str) -> Breaker:
        breaker = self._breakers.get(operation)
        if breaker is None:
            breaker = Breaker(self.name, operation, open_for=self._open_for)
            self._breakers[operation] = breaker
        return breaker

    def _count(self, request: Request, progress: _Progress, end: str) -> None:
        _CALLS.labels(self.name, request.operation, end).inc()
        _SECONDS.labels(self.name, request.operation).observe(progress.seconds)

    def _log_fields(self, request: Request, progress: _Progress) -> dict[str, object]:
        return {
            "system": self.name,
            "operation": request.operation,
            "status": progress.status,
            "ms": round(progress.seconds * 1000),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A request as it is sent, and the event loop's time at which the call ends."""

    request: Request
    content: bytes | None = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    deadline: float


@dataclass(slots=True, kw_only=True)
class _Progress:
    """The progress of one try."""

    started_at: float
    sent: bool = False
    status: int | None = None

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.started_at

    async def trace(self, event: str, _: object) -> None:
        if event.endswith(".send_request_headers.started"):
            self.sent = True


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


def _headers(request: Request) -> dict[str, str]:
    current = request_id.get()
    if current is None or not current.isascii() or not current.isprintable():
        return request.all_headers()
    return {"X-Request-Id": current} | request.all_headers()


def _ssl_context(tls: Tls) -> ssl.SSLContext:
    if tls.ca is None and tls.cert is None:
        return _public_ssl_context()
    if tls.ca:
        context = ssl.create_default_context(cafile=tls.ca)
    else:
        context = httpx.create_ssl_context(trust_env=False)
    if tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context


@cache
def _public_ssl_context() -> ssl.SSLContext:
    """Return the public authorities. They are read once: that takes longer than a call."""
    return httpx.create_ssl_context(trust_env=False)
