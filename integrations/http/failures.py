"""How a call to a counterpart can fail: not sent, sent without a usable answer, or unreadable."""

from __future__ import annotations


class CallFailure(Exception):
    """A call that produced no answer. `retry_after_ms` is set only where our breaker is open."""

    retry_after_ms: int | None = None

    def __init__(self, system: str, operation: str, reason: str) -> None:
        super().__init__(f"{system} {operation}: {reason}")
        self.system = system
        self.operation = operation
        self.reason = reason


class NotConnected(CallFailure):
    """No request was sent: the counterpart has no knowledge of the call."""


class BreakerOpen(NotConnected):
    """The circuit breaker is open, so the call was not attempted."""

    def __init__(self, system: str, operation: str, retry_after_ms: int) -> None:
        super().__init__(system, operation, "the breaker is open")
        self.retry_after_ms = retry_after_ms


class Exhausted(NotConnected):
    """All places for calls to the counterpart were taken; that is not the counterpart's failure."""

    def __init__(self, system: str, operation: str) -> None:
        super().__init__(system, operation, "all places were taken")


class Unanswered(CallFailure):
    """The request was sent, wholly or in part, and its effect is unknown."""


class TransportError(Exception):
    """The exchange failed. The text names the kind of failure and quotes nothing that was sent."""


class Unreadable(Exception):
    """Raised by a reader for an answer that it cannot use. The reason quotes no values."""


class Unusable(Unreadable):
    """Raised for a well-formed answer that decides nothing. The breaker counts it as a success."""
