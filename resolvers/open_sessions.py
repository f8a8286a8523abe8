"""
The sessions that this process has seen open, so that a request need not read its session.

An API process looks in the database twice a second which of them have ended. Where no look has
succeeded for 3 s, and in a process that never looks, each request reads its session.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime

import structlog

from db import sessions
from db.clock import Clock

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

LOOK_SECONDS = 0.5
TRUSTED_SECONDS = 3.0  # after the last look that succeeded
MAX_REMEMBERED = 4096


class OpenSessions:
    """The remembered sessions, each with the time at which the token that named it expires."""

    def __init__(self) -> None:
        self._until: dict[str, datetime] = {}
        self._looked_at: float | None = None

    async def is_open(self, clock: Clock, session: str, *, until: datetime) -> bool:
        """Return whether the session is open; it is remembered *until* its token expires."""
        if session in self._until and self._is_trusted():
            return True
        if not await sessions.is_open(session, await clock.recent()):
            return False
        self._until.pop(session, None)
        self._until[session] = until
        if len(self._until) > MAX_REMEMBERED:
            del self._until[next(iter(self._until))]
        return True

    def forget(self, session: str) -> None:
        self._until.pop(session, None)

    async def watch(self, clock: Clock) -> None:
        """Look again and again, for as long as the process lives."""
        has_failed = False
        while True:
            try:
                await self.look(clock)
                has_failed = False
            except Exception:
                if not has_failed:  # once an outage
                    log.exception("session_look_failed")
                has_failed = True
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self, clock: Clock) -> None:
        """
        Forget the sessions that have ended, and those that no valid token names.

        It reads the clock, so that a request finds a recent reading.
        """
        began = time.monotonic()
        now = await clock()
        remembered = [session for session, until in self._until.items() if until > now]
        still_open = await sessions.still_open(remembered, now) if remembered else set[str]()
        looked_at = set(remembered)
        self._until = {
            session: until
            for session, until in self._until.items()
            if session in still_open or (session not in looked_at and until > now)
        }
        self._looked_at = began

    def _is_trusted(self) -> bool:
        return self._looked_at is not None and time.monotonic() - self._looked_at < TRUSTED_SECONDS
