"""Logs: one line an event, for people in development, as JSON in production. No secret, no body."""

from __future__ import annotations

import logging
from typing import Literal

import structlog

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
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=env == "production",
    )
    # It says at every turn of a waiting job that the job waits.
    logging.getLogger("pgqueuer").setLevel(logging.WARNING)
