"""The schedules find a planted fault of each kind, and name a short schedule that shows it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.schedules import planted_faults as plant
from tests.schedules.laboratory import Counts, Laboratory, Meeting
from tests.support.proof import share

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

FAULTS = [
    (plant.lock_left_out, "paid QR: webhook, inquiry"),
    (plant.lock_left_out, "held cash: void, void"),
    (plant.check_before_the_lock, "paid QR: webhook, expire"),
    (plant.check_before_the_lock, "held cash: void, hand in"),
    (plant.held_cash_before_the_lock, "held cash: hand in, void"),
    (plant.row_count_left_out, "unpaid bill: cash, qr"),
]
DRAWN_FAULTS = 3


@pytest.mark.parametrize(("fault", "pair"), share(FAULTS, DRAWN_FAULTS, "planted faults"))
async def test_a_planted_fault_is_found(
    laboratory: Laboratory, fault: Callable[[], AbstractContextManager[None]], pair: str
) -> None:
    meeting, _ = Meeting.parse(f"{pair}: a")
    with fault():
        cases = await laboratory.explore(meeting)
        found = await laboratory.describe(cases)
    print(f"\n{fault.__name__}, {meeting}: {Counts.of(cases)}", *found[:2], sep="\n")
    assert found
    assert len(cases) > Counts.of(cases).wrong, "the operations one after the other are right"
