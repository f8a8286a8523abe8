"""The display cache: fresh, shared, stale and dropped readings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from domain.customers import Part, PartName
from domain.refusals import NotFound, UpstreamUnavailable
from domain.sentences import Noun
from resolvers.display_cache import FRESH, SERVED, DisplayCache, Reading
from tests.support.clocks import SetClock

pytestmark = pytest.mark.anyio

BILLS, DEBT = PartName.BILLS, PartName.DEBT
START = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class System:
    """A system that answers with the number of the call, once it may."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.error: Exception | None = None

    async def fetch(self, contract_number: str) -> str:
        self.calls += 1
        call = self.calls
        await self.answers.wait()
        if self.error is not None:
            raise self.error
        return f"{contract_number}, call {call}"


class Desk:
    """Reads from a cache at a time that the test sets."""

    def __init__(self, cache: DisplayCache) -> None:
        self.cache = cache
        self.system = System()
        self.now = START
        self.seconds = 20.0

    async def _read_clock(self) -> datetime:
        return self.now

    async def read(self, contract: str = "A", name: PartName = BILLS) -> Reading[str]:
        return await self.cache.read(
            contract,
            name,
            self.system.fetch,
            clock=SetClock(self._read_clock),
            deadline=asyncio.get_running_loop().time() + self.seconds,
        )

    async def start(self, *contracts: str) -> list[asyncio.Task[Reading[str]]]:
        """Start reads, and return them when the system has the calls."""
        reads = [asyncio.create_task(self.read(contract)) for contract in contracts]
        while self.system.calls < len(set(contracts)):
            await asyncio.sleep(0)
        return reads


@pytest.fixture
def desk() -> Desk:
    return Desk(DisplayCache(size=4))


def part(as_of: datetime = START, *, stale: bool = False) -> Part:
    return Part(name=BILLS, as_of=as_of, stale=stale)


async def test_a_reading_serves_five_minutes(desk: Desk) -> None:
    first = await desk.read()
    desk.now += FRESH - timedelta(seconds=1)
    assert await desk.read() == first == Reading(value="A, call 1", part=part())
    desk.now += timedelta(seconds=1)
    assert await desk.read() == Reading(value="A, call 2", part=part(desk.now))


async def test_each_contract_and_part_is_read_by_itself(desk: Desk) -> None:
    for contract, name in (("A", BILLS), ("B", BILLS), ("A", DEBT)):
        await desk.read(contract, name)
    assert desk.system.calls == 3
    assert (await desk.read("A", DEBT)).part.name is DEBT


async def test_all_who_read_at_once_share_one_call(desk: Desk) -> None:
    desk.system.answers.clear()
    reads = await desk.start(*["A"] * 50)
    desk.system.answers.set()
    assert {reading.value for reading in await asyncio.gather(*reads)} == {"A, call 1"}
    assert desk.system.calls == 1


async def test_one_who_leaves_fails_nobody(desk: Desk) -> None:
    desk.system.answers.clear()
    leader, *others = await desk.start("A", "A", "A")
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    desk.system.answers.set()
    assert [reading.value for reading in await asyncio.gather(*others)] == ["A, call 1"] * 2


async def test_a_call_that_all_have_left_still_fills_the_cache(desk: Desk) -> None:
    desk.system.answers.clear()
    (read,) = await desk.start("A")
    read.cancel()
    desk.system.answers.set()
    while (await desk.read()).value != "A, call 1":
        pass
    assert desk.system.calls == 1


async def test_a_refusal_reaches_all_and_is_not_remembered(desk: Desk) -> None:
    desk.system.answers.clear()
    desk.system.error = NotFound.of(Noun.CONTRACT, id="A")
    reads = await desk.start("A", "A")
    desk.system.answers.set()
    results = await asyncio.gather(*reads, return_exceptions=True)
    assert [type(result) for result in results] == [NotFound, NotFound]
    desk.system.error = None
    assert (await desk.read()).value == "A, call 2"


Away = Callable[[Desk], Awaitable[None]]


async def refuses(desk: Desk) -> None:
    desk.system.error = UpstreamUnavailable(system="Revenue Management", retry_after_ms=700)


async def hangs(desk: Desk) -> None:
    desk.seconds = 0.01
    desk.system.answers.clear()


away = pytest.mark.parametrize("goes_away", [refuses, hangs], ids=["refuses", "hangs"])


@away
async def test_while_its_system_is_away_a_reading_is_stale_for_an_hour(
    desk: Desk, goes_away: Away
) -> None:
    await desk.read()
    await goes_away(desk)
    desk.now += SERVED - timedelta(seconds=1)
    assert await desk.read() == Reading(value="A, call 1", part=part(stale=True))
    desk.now += timedelta(seconds=1)
    with pytest.raises(UpstreamUnavailable):
        await desk.read()


@away
async def test_without_a_reading_it_is_refused(desk: Desk, goes_away: Away) -> None:
    await goes_away(desk)
    with pytest.raises(UpstreamUnavailable, match="Revenue Management"):
        await desk.read()


async def test_a_refusal_that_says_when_to_come_back_still_says_it(desk: Desk) -> None:
    await refuses(desk)
    with pytest.raises(UpstreamUnavailable) as refusal:
        await desk.read()
    assert refusal.value.retry_after_ms == 700


async def test_a_system_that_is_back_is_read_again(desk: Desk) -> None:
    await desk.read()
    await refuses(desk)
    desk.now += 6 * MINUTE
    assert (await desk.read()).part.stale
    desk.system.error = None
    assert (await desk.read()).part == part(desk.now)


async def test_a_late_answer_serves_the_next_reader(desk: Desk) -> None:
    await hangs(desk)
    with pytest.raises(UpstreamUnavailable):
        await desk.read()
    desk.seconds = 20
    desk.system.answers.set()
    assert (await desk.read()).value == "A, call 1"


async def test_a_dropped_contract_is_read_again_also_by_a_stale_reader(desk: Desk) -> None:
    await desk.read("A")
    await desk.read("B")
    desk.cache.drop("A")
    assert (await desk.read("A")).value == "A, call 3"
    assert (await desk.read("B")).value == "B, call 2"
    desk.cache.drop("A")
    await refuses(desk)
    with pytest.raises(UpstreamUnavailable):
        await desk.read("A")


async def test_what_was_requested_before_a_drop_is_not_remembered(desk: Desk) -> None:
    desk.system.answers.clear()
    (before,) = await desk.start("A")
    desk.cache.drop("A")
    after = asyncio.create_task(desk.read("A"))
    while desk.system.calls < 2:
        await asyncio.sleep(0)
    desk.system.answers.set()
    assert ((await before).value, (await after).value) == ("A, call 1", "A, call 2")
    assert (await desk.read("A")).value == "A, call 2"


async def test_all_can_be_dropped(desk: Desk) -> None:
    await desk.read("A")
    await desk.read("B")
    desk.cache.drop_all()
    assert [(await desk.read(name)).value for name in "AB"] == ["A, call 3", "B, call 4"]


async def test_the_least_recently_read_make_place(desk: Desk) -> None:
    for contract in "ABCD":
        await desk.read(contract)
    await desk.read("A")
    await desk.read("E")
    calls = desk.system.calls
    for contract in "ACDE":
        await desk.read(contract)
    assert desk.system.calls == calls
    assert (await desk.read("B")).value == "B, call 6"
