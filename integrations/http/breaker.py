"""
The circuit breaker: after five failures in a row it stops the calls, then lets one probe through.

    CLOSED ──five failures in a row──▶ OPEN ──its time is over──▶ HALF_OPEN
       ▲     about two subjects          ▲                            │ one probe at a time
       └──────────── success ────────────┼────────────────────────────┤
                                         └─ failure of another subject┘

A subject is what a call is about: a contract, a member of staff, a payment. The breaker opens after
five failures in a row that are about at least two subjects, or have none. Failures about a single
subject never open it, and a failed probe about that subject delays only that subject.
Refusals, answers about another key, our own full pool and cancelled calls are not counted
(integrations/http/client.py).

The state lives in memory: each process has its own breakers.
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

_FAILURES_TO_OPEN = 5
_DURATIONS_REMEMBERED = 200


class BreakerState(StrEnum):
    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


_GAUGE = Gauge("mobinet_breaker_state", "0 closed, 1 half open, 2 open", ("system", "operation"))
_GAUGE_VALUES = {BreakerState.CLOSED: 0, BreakerState.HALF_OPEN: 1, BreakerState.OPEN: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """
    The state of one operation of one counterpart in this process.

    `p95_ms` covers the last 200 calls.
    """

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
    """A caller that is let in by `enter` must record a success or failure, or release the probe."""

    def __init__(
        self,
        system: str,
        operation: str,
        *,
        open_for: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.system = system
        self.operation = operation
        self._open_for = open_for
        self._clock = clock
        self._failures = 0
        self._failures_without_subject = 0  # of the failures in a row
        self._last_subject_hash: int | None = None  # a hash, so that no phone number is held
        self._several_subjects = False  # whether the failures in a row are about more than one
        self._tripped = False
        self._open_until = 0.0
        self._subject_delayed_until = 0.0  # when the last failed subject may probe again
        self._probing = False
        self._calls = 0
        self._errors = 0
        self._durations: deque[float] = deque(maxlen=_DURATIONS_REMEMBERED)
        self._last_success: datetime | None = None
        self._last_failure: datetime | None = None
        self._last_error: str | None = None
        self._update_gauge()

    @property
    def state(self) -> BreakerState:
        if not self._tripped:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock() < self._open_until else BreakerState.HALF_OPEN

    @property
    def ready(self) -> bool:
        """Whether a call about a subject that has not failed would be let in now."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.HALF_OPEN:
                return not self._probing
            case BreakerState.OPEN:
                return False

    @property
    def retry_after(self) -> float:
        """Seconds until a call makes sense."""
        return max(self._open_until - self._clock(), 1.0 if self._probing else 0.0)

    def seconds_until_ready(self, subject: str | None) -> float:
        """Return the seconds until a call about *subject* makes sense."""
        delay = self._subject_delayed_until - self._clock() if self._is_delayed(subject) else 0.0
        return max(self.retry_after, delay)

    def enter(self, subject: str | None = None) -> bool:
        """Return whether the call may be made."""
        if not self.ready or self._is_delayed(subject):
            return False
        self._probing = self.state is BreakerState.HALF_OPEN
        self._update_gauge()
        return True

    def record_success(self, seconds: float) -> None:
        self._failures = self._failures_without_subject = 0
        self._several_subjects = self._tripped = False
        self._last_subject_hash = None
        self._last_success = datetime.now(UTC)
        self._record_end(seconds)

    def record_failure(self, error: str, seconds: float, subject: str | None = None) -> None:
        """Count a failure; without *subject* no particular request can be its reason."""
        self._failures += 1
        self._errors += 1
        self._last_failure, self._last_error = datetime.now(UTC), error
        repeats = self._record_subject(subject)
        if self._tripped and repeats:
            self._subject_delayed_until = self._clock() + self._open_for
        elif self._failures >= _FAILURES_TO_OPEN and (
            self._several_subjects or self._failures_without_subject >= _FAILURES_TO_OPEN
        ):
            self._tripped = True
            self._open_until = self._clock() + self._open_for
        self._record_end(seconds)

    def release_probe(self) -> None:
        """Let another call probe: the caller gave up without a result."""
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

    def _record_subject(self, subject: str | None) -> bool:
        """Remember the subject that failed; return whether it also failed last."""
        if subject is None:
            self._failures_without_subject += 1
            return False
        previous, self._last_subject_hash = self._last_subject_hash, hash(subject)
        repeats = self._last_subject_hash == previous
        self._several_subjects = self._several_subjects or (previous is not None and not repeats)
        return repeats

    def _is_delayed(self, subject: str | None) -> bool:
        """Return whether a subject that failed its probe may not probe again yet."""
        return (
            self._tripped
            and subject is not None
            and hash(subject) == self._last_subject_hash
            and self._clock() < self._subject_delayed_until
        )

    def _record_end(self, seconds: float) -> None:
        self._probing = False
        self._calls += 1
        self._durations.append(seconds)
        self._update_gauge()

    def _p95(self) -> float | None:
        if not self._durations:
            return None
        ordered = sorted(self._durations)
        return round(ordered[math.ceil(len(ordered) * 0.95) - 1] * 1000, 1)

    def _update_gauge(self) -> None:
        _GAUGE.labels(self.system, self.operation).set(_GAUGE_VALUES[self.state])
