"""Admission: a lane lets some run, the next wait in order, and refuses the rest unrun."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import REGISTRY

from schema.graphql.admission import Lane, LaneSize, Overloaded
from tests.support.graphql_server import GRAPHQL, Served, only_error, post, serving, until
from tests.support.socket_client import client

pytest_plugins = ["tests.support.graphql_server"]
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("logs")]


def a_lane(*, places: int = 1, line: int = 3, seconds: float = 20) -> Lane:
    return Lane("test", LaneSize(places=places, line=line, seconds=seconds))


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"mobinet_admission_{name}", {"lane": "test"} | labels) or 0


async def runs(lane: Lane, name: str, ran: list[str], release: asyncio.Event) -> None:
    async with lane.place():
        ran.append(name)
        await release.wait()


async def start(lane: Lane, *names: str) -> tuple[list[str], asyncio.Event, list[Any]]:
    """Start tasks that hold a place until released; return once each runs, waits or is refused."""
    ran: list[str] = []
    release = asyncio.Event()
    tasks = [asyncio.create_task(runs(lane, name, ran, release)) for name in names]
    await asyncio.sleep(0)
    return ran, release, tasks


# ── a lane ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_line_is_served_in_its_order() -> None:
    ran, release, tasks = await start(a_lane(), *"abcd")
    assert ran == ["a"]
    release.set()
    await asyncio.gather(*tasks)
    assert ran == list("abcd")


async def test_one_who_comes_later_does_not_overtake_the_line() -> None:
    lane = a_lane()
    await lane.enter()
    ran, release, tasks = await start(lane, "first")
    release.set()
    lane.leave()  # the place is promised to the first in line
    late = asyncio.create_task(runs(lane, "late", ran, release))
    await asyncio.gather(*tasks, late)
    assert ran == ["first", "late"]


async def test_a_full_line_refuses_at_once() -> None:
    before = sample("refused_total", why="full")
    ran, release, tasks = await start(a_lane(line=2), *"abcd")
    with pytest.raises(Overloaded) as refusal:
        await tasks[3]
    assert refusal.value.extensions["code"] == "OVERLOADED"
    assert 1_000 <= refusal.value.extensions["retryAfterMs"] <= 3_000
    assert refusal.value.retry_after in {"1", "2", "3"}
    assert sample("refused_total", why="full") == before + 1
    release.set()
    await asyncio.gather(*tasks[:3])
    assert ran == list("abc")


async def test_one_who_waits_too_long_is_refused_and_frees_the_line() -> None:
    before = sample("refused_total", why="late")
    lane = a_lane(line=1, seconds=0.01)
    await lane.enter()
    for _ in range(2):
        with pytest.raises(Overloaded):
            await lane.enter()
    assert sample("refused_total", why="late") == before + 2
    assert sample("waiting") == 0
    lane.leave()
    await lane.enter()
    lane.leave()


async def test_one_who_leaves_the_line_frees_its_place_in_it() -> None:
    lane = a_lane(line=1)
    ran, release, (holder, waiter) = await start(lane, "a", "b")
    waiter.cancel()
    await asyncio.wait([waiter])
    after = asyncio.create_task(runs(lane, "c", ran, release))
    release.set()
    await asyncio.gather(holder, after)
    assert ran == ["a", "c"]


async def test_one_who_leaves_as_its_turn_comes_passes_the_place_on() -> None:
    lane = a_lane()
    await lane.enter()
    ran, release, (leaving, next_) = await start(lane, "a", "b")
    release.set()
    lane.leave()
    leaving.cancel()
    await asyncio.wait([leaving, next_])
    assert ran[-1] == "b"
    await lane.enter()
    lane.leave()


async def test_a_place_is_free_again_however_it_ends() -> None:
    lane = a_lane(places=2)
    running = sample("running")
    with pytest.raises(ValueError, match="broken"):
        async with lane.place():
            raise ValueError("broken")
    tasks = (await start(lane, "a", "b"))[-1]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert sample("running") == running
    async with lane.place(), lane.place():
        pass


async def test_after_a_storm_every_place_is_free(logs: list[Any]) -> None:
    lane = a_lane(places=3, line=10, seconds=0.05)
    release = asyncio.Event()
    ran: list[str] = []
    storm = [asyncio.create_task(runs(lane, str(n), ran, release)) for n in range(100)]
    await asyncio.sleep(0)
    for task in storm[4:6]:
        task.cancel()
    done, waiting = await asyncio.wait(storm, timeout=5, return_when=asyncio.ALL_COMPLETED)
    assert (len(done), len(waiting)) == (97, 3)
    release.set()
    await asyncio.gather(*storm, return_exceptions=True)
    assert ran == ["0", "1", "2"]
    async with lane.place(), lane.place(), lane.place():
        pass
    events = [entry["event"] for entry in logs]
    assert events == ["admission_refuses", "admission_open_again"], "not one line a refusal"


# ── operations ───────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def full() -> AsyncIterator[tuple[Served, Lane]]:
    """Serve the toy behind a lane whose one place is taken, and in which nobody may wait."""
    lane = a_lane(line=0)
    async with serving(lane_of=lambda _: lane) as served:
        await lane.enter()
        yield served, lane


@pytest.mark.parametrize("accept", ["application/json", GRAPHQL["accept"]])
@pytest.mark.parametrize("document", ["{ hello }", 'mutation { add(what: "x") }'])
async def test_a_refused_operation_is_503_and_did_not_run(
    full: tuple[Served, Lane], accept: str, document: str
) -> None:
    served, lane = full
    response = await post(served, {"query": document}, accept=accept, **{"accept-language": "en"})
    assert response.status_code == 503
    error = only_error(response)
    assert error["extensions"].keys() == {"code", "retryAfterMs"}
    assert error["extensions"]["code"] == "OVERLOADED"
    assert error["message"].endswith("Try again in a few seconds.")
    seconds = int(response.headers["retry-after"])
    assert seconds - 1 < error["extensions"]["retryAfterMs"] / 1000 <= seconds
    assert served.toy.ran == []
    lane.leave()
    assert "data" in (await post(served, {"query": document})).json()


@pytest.mark.parametrize(
    "document", ["{ hello }", 'mutation { add(what: "x") }', "subscription { count }"]
)
async def test_on_a_socket_only_the_operation_fails(
    full: tuple[Served, Lane], document: str
) -> None:
    served, lane = full
    async with client(served) as connection:
        await connection.subscribe(document)
        frame = await connection.receive()
        assert (frame["type"], frame["id"]) == ("error", "1")
        assert frame["payload"][0]["extensions"]["code"] == "OVERLOADED"
        assert frame["payload"][0]["extensions"]["retryAfterMs"] > 0
        assert served.toy.ran == []
        lane.leave()
        await connection.subscribe(document)
        assert (await connection.receive())["type"] == "next"


async def test_a_malformed_request_needs_no_place(full: tuple[Served, Lane]) -> None:
    served, _ = full
    response = await post(served, {"query": "{ nothing }"})
    assert only_error(response)["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_mutation_keeps_its_place_until_it_ends_though_its_client_left() -> None:
    lane = a_lane(line=0)
    async with serving(lane_of=lambda _: lane) as served:
        async with client(served) as connection:
            await connection.subscribe("mutation { slowly }")
            await until(lambda: served.toy.ran == ["begun"])
        assert (await post(served, {"query": "{ hello }"})).status_code == 503
        served.toy.release.set()
        await served.endpoint.engine.drain()
        assert served.toy.ran == ["begun", "done"]
        assert (await post(served, {"query": "{ hello }"})).status_code == 200


async def test_a_running_subscription_holds_no_place() -> None:
    lane = a_lane(line=0)
    async with serving(lane_of=lambda _: lane) as served, client(served) as connection:
        await connection.subscribe("subscription { wait }")
        assert (await connection.receive())["type"] == "next"
        assert (await post(served, {"query": "{ hello }"})).status_code == 200
