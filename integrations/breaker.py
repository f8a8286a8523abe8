"""
A breaker: it stops asking a counterpart that failed five times in a row, and asks again by one probe.

    CLOSED ──five failures in a row──▶ OPEN ──its time is over──▶ HALF_OPEN
       ▲                                 ▲                            │ one probe at a time
       └──────────── success ────────────┼────────────────────────────┤
                                         └────────── failure ─────────┘

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
        self._open_until = 0.0
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
        if self._failures < self._threshold:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock() < self._open_until else BreakerState.HALF_OPEN

    @property
    def ready(self) -> bool:
        """Whether a call would be let through now."""
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

    def enter(self) -> bool:
        """Return whether the call may be made. Whoever enters must say how it ended."""
        if not self.ready:
            return False
        self._probing = self.state is BreakerState.HALF_OPEN
        self._show()
        return True

    def succeeded(self, took: float) -> None:
        self._failures = 0
        self._last_success = datetime.now(UTC)
        self._ended(took)

    def failed(self, error: str, took: float) -> None:
        self._failures += 1
        self._errors += 1
        self._last_failure, self._last_error = datetime.now(UTC), error
        if self._failures >= self._threshold:
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
