"""The bulkhead: a bound on concurrent calls that is seen, and that is free after every storm."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from integrations.http.client import Timeouts, Upstream
from integrations.http.failures import Exhausted, NotConnected, Unanswered
from integrations.http.messages import Answer
from integrations.http.pool import PooledTransport
from tests.support.raw.server import OK, Peer, answers, raw_server, reads_and_is_silent
from tests.support.raw.upstream import PATIENT, both_loops, call

pytest_plugins = ["tests.support.raw.upstream"]
pytestmark = both_loops

PLACES = 8


def gauge(name: str) -> float | None:
    return REGISTRY.get_sample_value(f"mobinet_upstream_{name}", {"system": "stormed"})


def exhausted_calls() -> float:
    labels = {"system": "stormed", "operation": "op", "end": "exhausted"}
    return REGISTRY.get_sample_value("mobinet_upstream_calls_total", labels) or 0.0


def transport_of(http: Upstream) -> PooledTransport:
    assert isinstance(http._transport, PooledTransport)
    return http._transport


async def test_a_call_waits_for_a_place_and_connections_are_shared() -> None:
    async with raw_server(answers(OK)) as server:
        http = Upstream("stormed", server.url, places=PLACES, timeouts=PATIENT)
        results = await asyncio.gather(*[call(http) for _ in range(200)])
        assert {answer.status for answer in results} == {200}
        assert len(server.requests) == 200
        assert server.connections <= PLACES
        await http.aclose()


async def test_calls_make_no_task_and_need_no_further_connection() -> None:
    made: list[Any] = []

    def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **more: Any) -> Any:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **more)

    async with raw_server(answers(OK)) as server:
        http = Upstream("stormed", server.url)
        await call(http)
        asyncio.get_running_loop().set_task_factory(make_task)
        for _ in range(50):
            await call(http)
        asyncio.get_running_loop().set_task_factory(None)
        assert server.connections == 1
        assert made == []
        await http.aclose()


async def test_a_lack_of_places_is_counted_and_logged_once() -> None:
    before = exhausted_calls()
    async with raw_server(reads_and_is_silent) as server:
        timeouts = Timeouts(place=0.05, read=30, total=30)
        http = Upstream("stormed", server.url, places=2, timeouts=timeouts)
        holders = [asyncio.ensure_future(call(http)) for _ in range(2)]
        while len(server.requests) < 2:
            await asyncio.sleep(0)
        assert (gauge("places"), gauge("places_taken")) == (2, 2)
        with capture_logs() as logs:
            results = await asyncio.gather(*[call(http) for _ in range(3)], return_exceptions=True)
        assert {type(result) for result in results} == {Exhausted}
        assert exhausted_calls() - before == 3
        assert [log["event"] for log in logs].count("upstream_places_exhausted") == 1
        with capture_logs() as logs:
            for holder in holders:
                holder.cancel()
            await asyncio.gather(*holders, return_exceptions=True)
        assert [log["event"] for log in logs] == ["upstream_places_free"]
        assert (gauge("places_taken"), gauge("waiting")) == (0, 0)
        await http.aclose()


async def test_after_a_storm_every_place_and_connection_is_free() -> None:
    """Five hundred calls are answered, cut, met with silence or cancelled, in any order."""
    stormy = True
    dice = random.Random(7)

    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            end = dice.randrange(6) if stormy else 0
            if end == 1:
                return
            if end == 2:
                peer.reset()
                return
            if end == 3:
                await reads_and_is_silent(peer)
                return
            await peer.write(OK if end < 5 else OK + OK)

    async with raw_server(serve) as server:
        timeouts = Timeouts(place=20, connect=20, read=0.1, total=20)
        http = Upstream("stormed", server.url, places=PLACES, timeouts=timeouts)
        running = [asyncio.ensure_future(call(http)) for _ in range(500)]
        await asyncio.sleep(0)
        for task in dice.sample(running, 100):
            asyncio.get_running_loop().call_later(dice.random() / 2, task.cancel)
        results = await asyncio.gather(*running, return_exceptions=True)
        unexpected = [
            result
            for result in results
            if not isinstance(result, Answer | NotConnected | Unanswered | asyncio.CancelledError)
        ]
        assert unexpected == []
        assert any(isinstance(result, Answer) for result in results)

        assert (gauge("places_taken"), gauge("waiting")) == (0, 0)
        assert transport_of(http).open_connections <= PLACES
        stormy = False
        calls = await asyncio.gather(*[call(http, operation="after") for _ in range(PLACES)])
        assert [answer.status for answer in calls] == [200] * PLACES
        await http.aclose()
        while server.open_connections:
            await asyncio.sleep(0)
