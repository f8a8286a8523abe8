"""
Two operations interleaved at every statement, commit and call: the money is right in each order.

`make crash` runs every schedule of every pair with one preemption, and draws those with two and
those of three operations; `make test` draws a share. SCHEDULE repeats what a failure names:

    SCHEDULE='paid QR: webhook, cancel: a8b' pytest tests/schedules
"""

from __future__ import annotations

import itertools
import os

import pytest

from tests.schedules.laboratory import Counts, Laboratory, Meeting
from tests.schedules.operations import OPERATIONS
from tests.schedules.situations import SITUATIONS
from tests.support.proof import ALL, REPEAT, dice, share

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

PAIRS = {
    name: [Meeting(name, pair) for pair in itertools.combinations_with_replacement(operations, 2)]
    for name, (_, operations) in SITUATIONS.items()
}
DRAWN_PAIRS = 8  # of all situations, unless all run
DRAWN_SCHEDULES = 12  # of each drawn pair
PAIRS_OF_A_RUN = (
    PAIRS if ALL else {"a share": share(list(itertools.chain(*PAIRS.values())), DRAWN_PAIRS)}
)
SAMPLES = 12 if ALL else 3  # schedules with two preemptions, of each pair or triple
DRAWN_TRIPLES = 60 if ALL else 2
GIVEN = os.environ.get("SCHEDULE", "")


def test_every_two_operations_meet() -> None:
    met = {frozenset(pair.operations) for pairs in PAIRS.values() for pair in pairs}
    everywhere = {"cash elsewhere", "wallet"}  # they meet those that share a limit with them
    names = OPERATIONS.keys() - everywhere
    assert {frozenset(pair) for pair in itertools.combinations_with_replacement(names, 2)} <= met


if GIVEN:

    async def test_the_given_schedule(laboratory: Laboratory) -> None:
        meeting, schedule = Meeting.parse(GIVEN)
        case = await laboratory.run(meeting, schedule)
        unclaimed = await laboratory.judge([case])
        print("", *case.ran.trace, *map(repr, case.ran.results), sep="\n")
        assert [*case.wrong, *unclaimed] == []


@pytest.mark.parametrize("pairs", PAIRS_OF_A_RUN.values(), ids=PAIRS_OF_A_RUN.keys())
async def test_two_operations_with_one_preemption(
    laboratory: Laboratory, pairs: list[Meeting]
) -> None:
    wrong: list[str] = []
    print()
    for pair in pairs:
        cases = await laboratory.explore(pair, most=None if ALL else DRAWN_SCHEDULES)
        print(f"{pair}: {Counts.of(cases)}")
        wrong += await laboratory.describe(cases)
    assert wrong == [], REPEAT


@pytest.mark.parametrize("pairs", PAIRS_OF_A_RUN.values(), ids=PAIRS_OF_A_RUN.keys())
async def test_two_operations_with_two_preemptions(
    laboratory: Laboratory, pairs: list[Meeting]
) -> None:
    wrong: list[str] = []
    print(f"\n{REPEAT}")
    for pair in pairs:
        cases = await laboratory.sample(pair, SAMPLES)
        print(f"{pair}: {Counts.of(cases)}")
        wrong += await laboratory.describe(cases)
    assert wrong == [], REPEAT


async def test_three_operations(laboratory: Laboratory) -> None:
    drawn = dice("triples")
    wrong: list[str] = []
    print(f"\n{REPEAT}")
    for _ in range(DRAWN_TRIPLES):
        name = drawn.choice(sorted(SITUATIONS))
        triple = Meeting(name, tuple(drawn.choices(SITUATIONS[name][1], k=3)))
        cases = await laboratory.sample(triple, SAMPLES)
        print(f"{triple}: {Counts.of(cases)}")
        wrong += await laboratory.describe(cases)
    assert wrong == [], REPEAT
