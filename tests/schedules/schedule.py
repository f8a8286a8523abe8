"""
A schedule: a short string that says which operation goes on, and for how many steps.

`a5b2a` lets a take five steps, b two, and a all that it can. An operation that ends or waits for a
lock passes its turn on; after the last turn the others follow in the order of their letters.
"""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass

MANY = 10**6  # steps, more than any operation takes


@dataclass(frozen=True, slots=True)
class Schedule:
    """Turns of (letter, steps); MANY steps are written as none."""

    turns: tuple[tuple[str, int], ...]

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """Return the schedule that *text* writes. Raises ValueError."""
        if not re.fullmatch(r"([a-c]\d*)+", text):
            raise ValueError(f"not a schedule: {text!r}")
        turns = re.findall(r"([a-c])(\d*)", text)
        return cls(tuple((letter, int(steps) if steps else MANY) for letter, steps in turns))

    def __str__(self) -> str:
        return "".join(f"{name}{'' if steps >= MANY else steps}" for name, steps in self.turns)

    @property
    def preemptions(self) -> int:
        return sum(steps < MANY for _, steps in self.turns)


def with_one_preemption(steps: Mapping[str, int]) -> list[Schedule]:
    """Return the schedules of a and b with at most one preemption, for steps taken by each."""
    return [
        Schedule.parse(text)
        for first, second in ("ab", "ba")
        for text in (first, *(f"{first}{at}{second}" for at in range(1, steps[first])))
    ]


def with_two_preemptions(steps: Mapping[str, int], dice: random.Random) -> Schedule:
    """Return a drawn schedule with two preemptions, for steps taken by each of two or three."""
    first, second = dice.sample(sorted(steps), 2)
    third = dice.choice([name for name in sorted(steps) if name != second])
    at = [dice.randint(1, max(1, steps[name] - 1)) for name in (first, second)]
    return Schedule(((first, at[0]), (second, at[1]), (third, MANY)))


def shorter(schedule: Schedule) -> Iterator[Schedule]:
    """Yield schedules that are simpler: with a turn less, and with fewer steps in one turn."""
    turns = schedule.turns
    for at, (name, steps) in enumerate(turns):
        if len(turns) > 1:
            yield Schedule(turns[:at] + turns[at + 1 :])
        if steps < MANY:
            for fewer in sorted({1, steps // 2, steps - 1} - {0, steps}):
                yield Schedule((*turns[:at], (name, fewer), *turns[at + 1 :]))


async def shortened(
    schedule: Schedule, fails: Callable[[Schedule], Awaitable[bool]], *, tries: int = 30
) -> Schedule:
    """Return a schedule that still fails and of which no simpler one failed in *tries* runs."""
    candidates = shorter(schedule)
    for _ in range(tries):
        candidate = next(candidates, None)
        if candidate is None:
            break
        if await fails(candidate):
            schedule, candidates = candidate, shorter(candidate)
    return schedule
