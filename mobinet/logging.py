"""Logs: one line an event, for people in development, as JSON in production. No secret, no body, no card."""

from __future__ import annotations

import logging
from typing import Any, Literal

import structlog

from domain.cards import masked

# Without the local variables, which both renderers show by default: passwords and tokens are among them.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(env: Literal["development", "production"]) -> None:
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    ending = (
        [
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if env == "development"
        else [_TRACEBACKS, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *ending, _without_card_numbers],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=env == "production",
    )
    # It says at every turn of a waiting job that the job waits.
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    logging.setLogRecordFactory(_Record)


def _without_card_numbers(_logger: object, _name: str, line: Any) -> str:
    """Mask the line as it is about to be written: whatever was put in it, its traceback included."""
    return masked(line)


class _Record(logging.LogRecord):
    """What others log by the standard library's ways is masked too, its traceback included."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        if self.exc_info:
            self.exc_text = masked(logging.Formatter().formatException(self.exc_info))

    def getMessage(self) -> str:
        return masked(super().getMessage())
