"""
How we speak HTTP to anyone outside: with patience that ends, repeats only where they are safe, and a breaker.

A call ends in one of four ways, and the difference between the two failures is money:

    NotSent      no request went out, so the counterpart knows nothing. Stopped: our breaker is open
    Unanswered   it went out, and then silence, a 5xx, or something that cannot be read
    an answer    any other status, as `read` understands it, or what `read` raises

No log line, error or repr here carries a body, a header or a query: they hold tokens and phones.
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
from urllib.parse import urlencode

import httpx
import orjson
import stamina
import structlog
from prometheus_client import Counter, Histogram

from integrations.http.breaker import Breaker, Health

T = TypeVar("T")

_JSON, _FORM = "application/json", "application/x-www-form-urlencoded"

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

RETRIES = 3
_LONGEST_WAIT = 1.3  # seconds before a repeat, jitter included
# Shorter than servers keep idle connections, or a charge would now and then meet a closing one.
_KEEPALIVE = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=4.0)

_ENDS = Counter("mobinet_upstream_calls", "Calls by how they ended", ("system", "operation", "end"))
_SECONDS = Histogram("mobinet_upstream_seconds", "Time of one call", ("system", "operation"))

_log = structlog.stdlib.get_logger("integrations.http.client.client")

# They log whole addresses and headers.
for _talkative in ("httpx", "httpcore"):
    logging.getLogger(_talkative).setLevel(logging.WARNING)


class _Failure(Exception):
    retry_after_ms: int | None = None  # where our breaker is open

    def __init__(self, system: str, operation: str, reason: str) -> None:
        super().__init__(f"{system} {operation}: {reason}")
        self.system = system
        self.operation = operation
        self.reason = reason


class NotSent(_Failure):
    """No request went out: the counterpart knows nothing of it."""


class Stopped(NotSent):
    """The breaker is open, and nobody was asked."""

    def __init__(self, system: str, operation: str, retry_after: float) -> None:
        super().__init__(system, operation, "the breaker is open")
        self.retry_after_ms = _milliseconds(retry_after)


class Unanswered(_Failure):
    """The request went out, wholly or in part, and what became of it is not known."""


class Unreadable(Exception):
    """Raised by a reader: this is no answer to what was asked. Reasons quote no values."""


class Unusable(Unreadable):
    """Raised for a well-formed answer that settles nothing here: they are well, and no breaker counts it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer below 500."""

    status: int
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


class Upstream:
    """
    The one client of a counterpart. Seconds everywhere: `read` is the longest silence within an
    answer, `total` the longest that a call takes with all its repeats; it stays below the 25
    that a mutation has.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        headers: Mapping[str, str] | None = None,
        cert: str | None = None,
        key: str | None = None,
        ca: str | None = None,
        connect: float = 3.0,
        read: float = 10.0,
        total: float = 24.0,
        threshold: int = 5,
        open_for: float = 15.0,
    ) -> None:
        self.name = name
        self._total = total
        self._threshold = threshold
        self._open_for = open_for
        self._breakers: dict[str, Breaker] = {}
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/"),
            headers=headers,
            verify=_tls(cert=cert, key=key, ca=ca),
            timeout=httpx.Timeout(read, connect=connect, pool=connect),
            limits=_KEEPALIVE,
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
        """Return when it is worth asking again; None while the breaker lets calls through."""
        breaker = self._breaker(operation)
        return None if breaker.ready else _milliseconds(breaker.retry_after)

    def snapshot(self) -> tuple[Health, ...]:
        return tuple(breaker.health() for breaker in self._breakers.values())

    async def call(
        self,
        operation: str,
        method: str,
        path: str,
        *,
        read: Callable[[Answer], T],
        repeatable: bool,
        subject: str | None = None,
        query: str | None = None,
        body: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """
        Return what *read* makes of the answer. `body` is sent as JSON, or `form` as one; `query` as it is.

        `subject` is what the call is about: the failures of one alone open no breaker. None where
        every call of the operation is the same.

        A request that never went out is repeated in any case; one that did only if it is
        `repeatable`. Raises NotSent, Unanswered, and whatever *read* raises but Unreadable.
        """
        request = _Request(
            operation=operation,
            method=method,
            path=path if query is None else f"{path}?{query}",
            content=_content(body, form),
            headers=_headers(headers, _JSON if body is not None else _FORM if form else None),
            deadline=asyncio.get_running_loop().time() + self._total,
            subject=subject,
        )
        in_doubt = False

        def again(error: Exception) -> bool:
            if isinstance(error, Stopped):
                return False
            return isinstance(error, NotSent) or (repeatable and isinstance(error, Unanswered))

        try:
            async for attempt in stamina.retry_context(
                on=again,
                attempts=1 + RETRIES,
                timeout=max(self._total - _LONGEST_WAIT, 0.01),
                wait_initial=0.2,
                wait_max=1.0,
                wait_jitter=0.3,
            ):
                with attempt:
                    try:
                        return await self._once(request, read)
                    except Unanswered:
                        in_doubt = True
                        raise
        except NotSent as last:
            if in_doubt:  # an earlier try did go out
                unanswered = Unanswered(self.name, operation, last.reason)
                unanswered.retry_after_ms = last.retry_after_ms
                raise unanswered from last
            raise
        raise AssertionError("the last attempt returns or raises")

    async def _once(self, request: _Request, read: Callable[[Answer], T]) -> T:
        breaker = self._breaker(request.operation)
        if not breaker.enter(request.subject):
            raise Stopped(self.name, request.operation, breaker.wait(request.subject))
        sent = False
        status: int | None = None
        begun = time.perf_counter()

        async def watch(event: str, _: object) -> None:
            nonlocal sent
            sent = sent or event.endswith(".send_request_headers.started")

        try:
            async with asyncio.timeout_at(request.deadline):
                response = await self._client.request(
                    request.method,
                    request.path,
                    content=request.content,
                    headers=request.headers,
                    extensions={"trace": watch},
                )
            status = response.status_code
            if status >= 500:
                raise Unreadable("server error")
            understood = read(Answer(status, response.content))
        except (httpx.HTTPError, TimeoutError, Unreadable) as error:
            took = time.perf_counter() - begun
            reason = str(error) if isinstance(error, Unreadable) else type(error).__name__
            if isinstance(error, httpx.PoolTimeout):  # our own connections ran out: not their fault
                breaker.abandoned()
            elif isinstance(error, Unusable):
                breaker.succeeded(took)
            else:
                # What never went out cannot have failed for what it is about.
                subject = request.subject if sent else None
                breaker.failed(reason if status is None else f"{status} {reason}", took, subject)
            self._note(request.operation, took, "unanswered" if sent else "not_sent")
            _log.warning(
                "upstream_failed",
                system=self.name,
                operation=request.operation,
                status=status,
                ms=round(took * 1000),
                reason=reason,
                sent=sent,
            )
            failure = Unanswered if sent else NotSent
            raise failure(self.name, request.operation, reason) from error
        except Exception:  # a clear no, in the reader's words
            took = time.perf_counter() - begun
            breaker.succeeded(took)
            self._note(request.operation, took, "refused")
            _log.info(
                "upstream_refused",
                system=self.name,
                operation=request.operation,
                status=status,
                ms=round(took * 1000),
            )
            raise
        except BaseException:
            breaker.abandoned()
            raise
        took = time.perf_counter() - begun
        breaker.succeeded(took)
        self._note(request.operation, took, "answered")
        return understood

    def _breaker(self, operation: str) -> Breaker:
        breaker = self._breakers.get(operation)
        if breaker is None:
            breaker = Breaker(
                self.name, operation, threshold=self._threshold, open_for=self._open_for
            )
            self._breakers[operation] = breaker
        return breaker

    def _note(self, operation: str, took: float, end: str) -> None:
        _ENDS.labels(self.name, operation, end).inc()
        _SECONDS.labels(self.name, operation).observe(took)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    operation: str
    method: str
    path: str = field(repr=False)
    content: bytes | None = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    deadline: float
    subject: str | None = field(repr=False)


def _milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


def _content(body: object, form: Mapping[str, str] | None) -> bytes | None:
    if form is not None:
        return urlencode(form).encode()
    return None if body is None else orjson.dumps(body)


def _headers(given: Mapping[str, str] | None, kind: str | None) -> dict[str, str]:
    headers = {"Accept": _JSON}
    if kind is not None:
        headers["Content-Type"] = kind
    if (current := request_id.get()) is not None and current.isascii() and current.isprintable():
        headers["X-Request-Id"] = current
    return headers | dict(given or {})


def _tls(*, cert: str | None, key: str | None, ca: str | None) -> ssl.SSLContext:
    if ca is None and cert is None:
        return _public_tls()
    context = (
        ssl.create_default_context(cafile=ca) if ca else httpx.create_ssl_context(trust_env=False)
    )
    if cert:
        context.load_cert_chain(cert, key)
    return context


@cache
def _public_tls() -> ssl.SSLContext:
    """The public authorities, read once: it takes longer than a call."""
    return httpx.create_ssl_context(trust_env=False)
