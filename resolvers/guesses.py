"""Guessing at passwords: after a few wrong ones, whoever guesses waits. Counted in this process."""

from __future__ import annotations

from collections import OrderedDict, deque
from datetime import datetime, timedelta

from domain.staff import TooManyTries

A_MINUTE = timedelta(minutes=1)
FROM_ONE_ADDRESS_AT_ONE_NAME = 10  # wrong ones a minute
REMEMBERED = 10_000


class Guesses:
    def __init__(self) -> None:
        self._wrong: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()

    def check(self, address: str, name: str, now: datetime) -> None:
        """Raise TooManyTries where *address* has just guessed wrong at *name* too often."""
        wrong = self._wrong.get((address, name))
        full = wrong is not None and len(wrong) == FROM_ONE_ADDRESS_AT_ONE_NAME
        if full and now - wrong[0] < A_MINUTE:  # pyright: ignore[reportOptionalSubscript]
            raise TooManyTries

    def note(self, address: str, name: str, now: datetime) -> None:
        """Remember a wrong guess; the oldest guessers are forgotten first."""
        key = (address, name)
        times = self._wrong.setdefault(key, deque(maxlen=FROM_ONE_ADDRESS_AT_ONE_NAME))
        times.append(now)
        self._wrong.move_to_end(key)
        if len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)


GUESSES = Guesses()
