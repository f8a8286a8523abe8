"""Which connection carries a second request: only one that was read exactly and stayed quiet."""

from __future__ import annotations

import asyncio

import pytest

from integrations.http import connection
from integrations.http.failures import Unanswered
from tests.support.raw.server import OK, Peer, answers, raw_server, reads_and_is_silent
from tests.support.raw.upstream import OpenUpstream, both_loops, call

pytest_plugins = ["tests.support.raw.upstream"]
pytestmark = both_loops


@pytest.fixture(autouse=True)
def long_idle_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep idle connections, so that a test sees what else closes them."""
    set_idle_time(monkeypatch, 1000)


def set_idle_time(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    for module in ("connection", "pool"):
        monkeypatch.setattr(f"integrations.http.{module}.IDLE_SECONDS", seconds)


async def happened(event: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await event.wait()


async def dies_on_the_second_request(peer: Peer) -> None:
    await peer.request()
    await peer.write(OK)
    await peer.request()
    peer.reset()


async def test_a_request_on_a_connection_that_dies_is_unanswered_and_not_repeated(
    open_upstream: OpenUpstream,
) -> None:
    async with raw_server(dies_on_the_second_request) as server:
        http = open_upstream(server.url)
        await call(http)
        with pytest.raises(Unanswered):
            await call(http)
        assert len(server.requests) == 2
        await call(http)
        assert (server.connections, len(server.requests)) == (2, 3)


async def test_a_repeatable_request_on_a_connection_that_dies_is_retried(
    open_upstream: OpenUpstream,
) -> None:
    async with raw_server(dies_on_the_second_request) as server:
        http = open_upstream(server.url)
        for _ in range(2):
            assert (await call(http, repeatable=True)).ok
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize("late", [b"", b"x", OK], ids=["end", "byte", "answer"])
async def test_a_connection_that_spoke_or_ended_while_idle_carries_no_request(
    late: bytes, open_upstream: OpenUpstream
) -> None:
    answered, ended = asyncio.Event(), asyncio.Event()

    async def speaks_late(peer: Peer) -> None:
        await peer.request()
        await peer.write(OK)
        if peer.number == 1:
            await answered.wait()
            if late:
                await peer.write(late)
                await peer.end_of_client()
            peer.writer.close()
            ended.set()
        await peer.end_of_client()

    async with raw_server(speaks_late) as server:
        http = open_upstream(server.url)
        await call(http)
        answered.set()
        await happened(ended)
        assert (await call(http)).status == 200
        assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_cancelled_call_ends_its_connection(open_upstream: OpenUpstream) -> None:
    closed = asyncio.Event()

    async def serve(peer: Peer) -> None:
        if peer.number > 1:
            await answers(OK)(peer)
        await reads_and_is_silent(peer)
        closed.set()

    async with raw_server(serve) as server:
        http = open_upstream(server.url)
        running = asyncio.ensure_future(call(http))
        while not server.requests:
            await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        await happened(closed)
        assert (await call(http)).ok
        assert server.connections == 2


async def test_a_cancel_at_the_moment_of_the_answer_ends_the_connection_too(
    open_upstream: OpenUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with raw_server(answers(OK)) as server:
        http = open_upstream(server.url)
        finish = connection.Connection._finish

        def finish_and_cancel(self: connection.Connection, *, reusable: bool) -> None:
            finish(self, reusable=reusable)
            running.cancel()

        monkeypatch.setattr(connection.Connection, "_finish", finish_and_cancel)
        running = asyncio.ensure_future(call(http))
        with pytest.raises(asyncio.CancelledError):
            await running
        monkeypatch.undo()
        assert (await call(http)).ok
        assert server.connections == 2


async def test_a_connection_past_our_idle_time_is_closed(
    open_upstream: OpenUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.write(OK)
        await peer.end_of_client()
        closed.set()

    set_idle_time(monkeypatch, 0.01)
    async with raw_server(serve) as server:
        await call(open_upstream(server.url))
        await happened(closed)  # no later call is needed for it
        assert server.connections == 1


async def test_a_connection_past_the_servers_idle_time_carries_no_request(
    open_upstream: OpenUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_TRANSIT_SECONDS", 8.99)
    answer = OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: timeout=9\r\n\r\n")
    async with raw_server(answers(answer)) as server:
        http = open_upstream(server.url)
        await call(http)
        await asyncio.sleep(0.02)  # longer than the hundredth of a second that is left
        await call(http)
        assert (server.connections, len(server.requests)) == (2, 2)
