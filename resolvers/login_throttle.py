"""Guessing at passwords: after a few wrong ones, whoever guesses waits. Counted in this process."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from domain.staff import InvalidCredentials, TooManyTries

A_MINUTE = timedelta(minutes=1)
FROM_ONE_ADDRESS_AT_ONE_NAME = 10  # wrong ones a minute
REMEMBERED = 10_000


class _Tries:
    """What one address tries at one name."""

    def __init__(self) -> None:
        self.wrong: deque[datetime] = deque(maxlen=FROM_ONE_ADDRESS_AT_ONE_NAME)
        self.in_flight = 0
        self.ended = asyncio.Condition()

    def wrong_at(self, now: datetime) -> int:
        return sum(now - moment < A_MINUTE for moment in self.wrong)


class LoginThrottle:
    def __init__(self) -> None:
        self._tries: OrderedDict[tuple[str, str], _Tries] = OrderedDict()

    @asynccontextmanager
    async def guess(self, address: str, name: str, now: datetime) -> AsyncGenerator[None]:
        """
        Let *address* try at *name*; within, InvalidCredentials says that it was wrong.

        No more are let through at once than may be wrong; the rest wait to see what those were.
        Raises TooManyTries. The oldest guessers are forgotten first.
        """
        tries = self._tries.setdefault((address, name), _Tries())
        self._tries.move_to_end((address, name))
        if len(self._tries) > REMEMBERED:
            self._tries.popitem(last=False)
        async with tries.ended:
            while tries.wrong_at(now) + tries.in_flight >= FROM_ONE_ADDRESS_AT_ONE_NAME:
                if tries.wrong_at(now) >= FROM_ONE_ADDRESS_AT_ONE_NAME:
                    raise TooManyTries
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
