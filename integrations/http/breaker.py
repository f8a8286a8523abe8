"""
A breaker: it stops asking a counterpart that failed five times in a row, and asks again by one probe.

    CLOSED ──five failures in a row──▶ OPEN ──its time is over──▶ HALF_OPEN
       ▲     about two subjects          ▲                            │ one probe at a time
       └──────────── success ────────────┼────────────────────────────┤
                                         └─ failure of another subject┘

A subject is what a call is about: a contract, a member of staff, a payment. One that fails by itself
shuts nobody else out: alone it opens no breaker, and a probe of it that fails again holds off itself only.
Five failures without a subject open it too: no particular request is the reason then.

It lives in memory: every process finds out for itself, and none waits for another.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from prometheus_client import Gauge


class BreakerState(StrEnum):
    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


_GAUGE = Gauge("mobinet_breaker_state", "0 closed, 1 half open, 2 open", ("system", "operation"))
_HEIGHT = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How one operation of one counterpart fares, as this process sees it. `p95_ms` is of the last 200 calls."""

    system: str
    operation: str
    state: BreakerState
    failures_in_a_row: int
    calls: int
    errors: int
    p95_ms: float | None
    last_success_at: datetime | None
    last_failure_at: datetime | None
    last_error: str | None
    open_until: datetime | None


class Breaker:
    def __init__(
        self,
        system: str,
        operation: str,
        *,
        threshold: int = 5,
        open_for: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.system = system
        self.operation = operation
        self._threshold = threshold
        self._open_for = open_for
        self._clock = clock
        self._failures = 0
        self._without_subject = 0  # of the failures in a row
        self._latest: int | None = None  # the hash of the subject that failed last, never its text
        self._several = False  # whether the failures in a row are about more than one subject
        self._tripped = False
        self._open_until = 0.0
        self._held_off_until = 0.0  # until when `latest` alone may not probe
        self._probing = False
        self._calls = 0
        self._errors = 0
        self._took: deque[float] = deque(maxlen=200)
        self._last_success: datetime | None = None
        self._last_failure: datetime | None = None
        self._last_error: str | None = None
        self._show()

    @property
    def state(self) -> BreakerState:
        if not self._tripped:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock() < self._open_until else BreakerState.HALF_OPEN

    @property
    def ready(self) -> bool:
        """Whether a call about what has not failed yet would be let through now."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.HALF_OPEN:
                return not self._probing
            case BreakerState.OPEN:
                return False

    @property
    def retry_after(self) -> float:
        """Seconds until it is worth asking again."""
        return max(self._open_until - self._clock(), 1.0 if self._probing else 0.0)

    def wait(self, subject: str | None) -> float:
        """Return the seconds until it is worth asking again about *subject*."""
        held_off = self._held_off_until - self._clock() if self._is_held_off(subject) else 0.0
        return max(self.retry_after, held_off)

    def enter(self, subject: str | None = None) -> bool:
        """Return whether the call may be made. Whoever enters must say how it ended."""
        if not self.ready or self._is_held_off(subject):
            return False
        self._probing = self.state is BreakerState.HALF_OPEN
        self._show()
        return True

    def succeeded(self, took: float) -> None:
        self._failures = self._without_subject = 0
        self._several = self._tripped = False
        self._latest = None
        self._last_success = datetime.now(UTC)
        self._ended(took)

    def failed(self, error: str, took: float, subject: str | None = None) -> None:
        """Count a failure; no *subject* says that no particular one can be the reason."""
        self._failures += 1
        self._errors += 1
        self._last_failure, self._last_error = datetime.now(UTC), error
        repeats = self._repeats(subject)
        if self._tripped and repeats:
            self._held_off_until = self._clock() + self._open_for
        elif self._failures >= self._threshold and (
            self._several or self._without_subject >= self._threshold
        ):
            self._tripped = True
            self._open_until = self._clock() + self._open_for
        self._ended(took)

    def abandoned(self) -> None:
        """The caller gave up: nothing was learnt, and another may probe."""
        self._probing = False

    def health(self) -> Health:
        state = self.state
        left = self._open_until - self._clock()
        return Health(
            system=self.system,
            operation=self.operation,
            state=state,
            failures_in_a_row=self._failures,
            calls=self._calls,
            errors=self._errors,
            p95_ms=self._p95(),
            last_success_at=self._last_success,
            last_failure_at=self._last_failure,
            last_error=self._last_error,
            open_until=datetime.now(UTC) + timedelta(seconds=left)
            if state is BreakerState.OPEN
            else None,
        )

    def _repeats(self, subject: str | None) -> bool:
        """Note what failed; return whether it is what failed last."""
        if subject is None:
            self._without_subject += 1
            return False
        before, self._latest = self._latest, hash(subject)
        repeats = self._latest == before
        self._several = self._several or (before is not None and not repeats)
        return repeats

    def _is_held_off(self, subject: str | None) -> bool:
        """Return whether a failing subject may not probe again yet."""
        return (
            self._tripped
            and subject is not None
            and hash(subject) == self._latest
            and self._clock() < self._held_off_until
        )

    def _ended(self, took: float) -> None:
        self._probing = False
        self._calls += 1
        self._took.append(took)
        self._show()

    def _p95(self) -> float | None:
        if not self._took:
            return None
        ordered = sorted(self._took)
        return round(ordered[math.ceil(len(ordered) * 0.95) - 1] * 1000, 1)

    def _show(self) -> None:
        _GAUGE.labels(self.system, self.operation).set(_HEIGHT[self.state])
