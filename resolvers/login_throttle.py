"""Throttling wrong passwords, counted in this process by address and name."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from domain.staff import InvalidCredentials, TooManyAttempts

WINDOW = timedelta(minutes=1)
MAX_WRONG = 10  # passwords in the window, from one address for one name
MAX_COUNTED = 10_000  # pairs of an address and a name


class _Tries:
    """The tries of one address for one name."""

    def __init__(self) -> None:
        self.wrong: deque[datetime] = deque(maxlen=MAX_WRONG)
        self.in_flight = 0
        self.ended = asyncio.Condition()

    def wrong_at(self, now: datetime) -> int:
        return sum(now - moment < WINDOW for moment in self.wrong)


class LoginThrottle:
    def __init__(self) -> None:
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    @asynccontextmanager
    async def guess(self, address: str, name: str, now: datetime) -> AsyncGenerator[None]:
        """
        Enter to let *address* try a password for *name*; InvalidCredentials inside counts as wrong.

        Wrong tries and running ones together are at most MAX_WRONG; further ones wait. The counts
        of the least recent pairs are dropped first. Raises TooManyAttempts.
        """
        tries = self._tries.setdefault((address, name), _Tries())
        self._tries.move_to_end((address, name))
        if len(self._tries) > MAX_COUNTED:
            self._tries.popitem(last=False)
        async with tries.ended:
            while tries.wrong_at(now) + tries.in_flight >= MAX_WRONG:
                if tries.wrong_at(now) >= MAX_WRONG:
                    raise TooManyAttempts
                await tries.ended.wait()
            tries.in_flight += 1
        try:
            yield
        except InvalidCredentials:
            tries.wrong.append(now)
            raise
        finally:
            tries.in_flight -= 1
            async with tries.ended:
                tries.ended.notify_all()
