"""Log configuration: text in development, JSON in production; card numbers are masked."""

from __future__ import annotations

import logging
from typing import Any, Literal

import structlog

from domain.cards import masked

# Local variables hold passwords and tokens; both renderers would print them by default.
_TRACEBACKS = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
)


def configure(env: Literal["development", "production"]) -> None:
    shared = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderers = (
        [
            structlog.dev.ConsoleRenderer(
                colors=False, exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if env == "development"
        else [_TRACEBACKS, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, *renderers, _mask_card_numbers],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=env == "production",
    )
    # At INFO pgqueuer logs every poll of a waiting job.
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
    logging.setLogRecordFactory(_MaskedRecord)


def _mask_card_numbers(_logger: object, _name: str, line: Any) -> str:
    """Mask card numbers in the rendered line, its traceback included."""
    return masked(line)


class _MaskedRecord(logging.LogRecord):
    """A record of the standard library's loggers, with card numbers masked."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.exc_info:
            self.exc_text = masked(logging.Formatter().formatException(self.exc_info))

    def getMessage(self) -> str:
        return masked(super().getMessage())
