"""Guessing at passwords: after a few wrong ones, whoever guesses waits. Counted in this process."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime, timedelta

from domain.staff import InvalidCredentials, TooManyTries

A_MINUTE = timedelta(minutes=1)
FROM_ONE_ADDRESS_AT_ONE_NAME = 10  # wrong ones a minute
REMEMBERED = 10_000


class Guesses:
    def __init__(self) -> None:
        self._wrong: OrderedDict[tuple[str, str], deque[datetime]] = OrderedDict()

    @contextmanager
    def guess(self, address: str, name: str, now: datetime) -> Generator[None]:
        """
        Let *address* try at *name*; within, InvalidCredentials says that it was wrong.

        A try counts as wrong until it has ended otherwise, or many at once would all be let through.
        Raises TooManyTries. The oldest guessers are forgotten first.
        """
        key = (address, name)
        wrong = self._wrong.setdefault(key, deque(maxlen=FROM_ONE_ADDRESS_AT_ONE_NAME))
        if len(wrong) == FROM_ONE_ADDRESS_AT_ONE_NAME and now - wrong[0] < A_MINUTE:
            raise TooManyTries
        wrong.append(now)
        self._wrong.move_to_end(key)
        if len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)
        was_wrong = False
        try:
            yield
        except InvalidCredentials:
            was_wrong = True
            raise
        finally:
            if not was_wrong and now in wrong:
                wrong.remove(now)


GUESSES = Guesses()
