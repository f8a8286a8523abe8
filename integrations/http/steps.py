"""
The steps of a call, each of which does one thing; `client.py` puts them in order.

They agree on what a call raises: NotConnected, Unanswered, or what its reader raised.
"""

from __future__ import annotations

import asyncio

import stamina
import structlog
from prometheus_client import Counter, Histogram

from integrations.http.breaker import Breaker
from integrations.http.calls import Call, Proceed
from integrations.http.failures import (
    BreakerOpen,
    CallFailure,
    Exhausted,
    NotConnected,
    TransportError,
    Unanswered,
    Unreadable,
    Unusable,
)

RETRIES = 3
_MAX_RETRY_WAIT_SECONDS = 1.3  # before a retry, jitter included

_CALLS = Counter(
    "mobinet_upstream_calls", "Calls by how they ended", ("system", "operation", "end")
)
_SECONDS = Histogram("mobinet_upstream_seconds", "Time of one call", ("system", "operation"))

_log = structlog.stdlib.get_logger("integrations.http.client")


# ── retry ────────────────────────────────────────────────────────────────────────────────────────


async def retry(call: Call, proceed: Proceed) -> object:
    """Repeat a call that was not sent, or that was sent and is repeatable."""
    try:
        return await proceed(call)
    except CallFailure as error:
        if not _is_retryable(call, error):
            raise
        failure = error
    return await _retry(call, failure, proceed)


async def _retry(call: Call, first: CallFailure, proceed: Proceed) -> object:
    """Repeat a call whose *first* try failed."""
    left = call.deadline - asyncio.get_running_loop().time()
    failures = [first]
    try:
        async for attempt in stamina.retry_context(
            on=lambda error: isinstance(error, CallFailure) and _is_retryable(call, error),
            attempts=1 + RETRIES,
            timeout=max(left - _MAX_RETRY_WAIT_SECONDS, 0.01),
            wait_initial=0.2,
            wait_max=1.0,
            wait_jitter=0.3,
        ):
            with attempt:
                if attempt.num == 1:
                    raise first
                try:
                    return await proceed(call.next_try())
                except CallFailure as error:
                    failures.append(error)
                    raise
    except NotConnected as error:
        if not any(isinstance(failure, Unanswered) for failure in failures):
            raise
        unanswered = Unanswered(call.system, call.operation, error.reason)
        unanswered.retry_after_ms = error.retry_after_ms
        raise unanswered from error
    raise AssertionError("the last attempt returns or raises")


def _is_retryable(call: Call, error: CallFailure) -> bool:
    if isinstance(error, BreakerOpen | Exhausted):  # it would only wait at the end of the queue
        return False
    return call.request.repeatable or isinstance(error, NotConnected)


# ── breaker ──────────────────────────────────────────────────────────────────────────────────────


class Breakers:
    """One circuit breaker for each operation of a counterpart."""

    def __init__(self, system: str, *, open_for: float) -> None:
        self._system = system
        self._open_for = open_for
        self.by_operation: dict[str, Breaker] = {}

    def of(self, operation: str) -> Breaker:
        breaker = self.by_operation.get(operation)
        if breaker is None:
            breaker = Breaker(self._system, operation, open_for=self._open_for)
            self.by_operation[operation] = breaker
        return breaker

    async def __call__(self, call: Call, proceed: Proceed) -> object:
        """Let the call through and record how it ended. Raises BreakerOpen."""
        breaker, subject = self.of(call.operation), call.request.subject
        if not breaker.enter(subject):
            wait = milliseconds(breaker.seconds_until_ready(subject))
            raise BreakerOpen(call.system, call.operation, wait)
        try:
            result = await proceed(call)
        except CallFailure as error:
            _record_failure(breaker, call, error)
            raise
        except Exception:  # the reader understood a definite refusal
            breaker.record_success(call.progress.seconds)
            raise
        except BaseException:
            breaker.release_probe()
            raise
        breaker.record_success(call.progress.seconds)
        return result


def _record_failure(breaker: Breaker, call: Call, error: CallFailure) -> None:
    if isinstance(error, Exhausted):
        breaker.release_probe()
    elif isinstance(error.__cause__, Unusable):
        breaker.record_success(call.progress.seconds)
    else:
        status = call.progress.status
        breaker.record_failure(
            error.reason if status is None else f"{status} {error.reason}",
            call.progress.seconds,
            call.request.subject,
        )


def milliseconds(seconds: float) -> int:
    return max(round(seconds * 1000), 1)


# ── metrics and logs ─────────────────────────────────────────────────────────────────────────────


class Metrics:
    """Counts and times the calls of a counterpart, and logs those without an answer."""

    def __init__(self, system: str) -> None:
        self._system = system
        self._counters: dict[tuple[str, str], Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    async def __call__(self, call: Call, proceed: Proceed) -> object:
        try:
            result = await proceed(call)
        except CallFailure as error:
            sent = isinstance(error, Unanswered)
            exhausted = isinstance(error, Exhausted)
            self._count(call, "exhausted" if exhausted else "unanswered" if sent else "not_sent")
            fields = _log_fields(call)
            _log.warning("upstream_failed", **fields, reason=error.reason, sent=sent)
            raise
        except Exception:
            self._count(call, "refused")
            _log.info("upstream_refused", **_log_fields(call))
            raise
        self._count(call, "answered")
        return result

    def _count(self, call: Call, end: str) -> None:
        operation = call.operation
        counter = self._counters.get((operation, end))
        if counter is None:
            counter = _CALLS.labels(self._system, operation, end)
            self._counters[operation, end] = counter
        counter.inc()
        histogram = self._histograms.get(operation)
        if histogram is None:
            histogram = self._histograms[operation] = _SECONDS.labels(self._system, operation)
        histogram.observe(call.progress.seconds)


def _log_fields(call: Call) -> dict[str, object]:
    return {
        "system": call.system,
        "operation": call.operation,
        "status": call.progress.status,
        "ms": round(call.progress.seconds * 1000),
    }


# ── redaction and deadline ───────────────────────────────────────────────────────────────────────


async def redact(call: Call, proceed: Proceed) -> object:
    """Turn an error of transport or reader into a failure that names its kind and no content."""
    try:
        return await proceed(call)
    except (TransportError, Unreadable, TimeoutError) as error:
        reason = "TimeoutError" if isinstance(error, TimeoutError) else str(error)
        failure = Unanswered if call.progress.sent else NotConnected
        raise failure(call.system, call.operation, reason) from error


async def end_in_time(call: Call, proceed: Proceed) -> object:
    """End the try at the call's deadline. Raises TimeoutError."""
    async with asyncio.timeout_at(call.deadline):
        return await proceed(call)
