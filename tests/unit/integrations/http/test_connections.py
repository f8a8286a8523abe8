"""The transports: what was sent, and what is an answer."""

from __future__ import annotations

import asyncio

import pytest

from integrations.http.failures import NotConnected, Unanswered
from integrations.http.httpx_transport import HttpxTransport
from integrations.http.messages import Answer
from tests.support.raw.server import (
    OK,
    WITHOUT_ANSWER,
    Peer,
    Serve,
    answers,
    answers_and_closes,
    raw_server,
)
from tests.support.raw.upstream import SHORT, OpenUpstream, both_loops, call

pytest_plugins = ["tests.support.raw.upstream"]
pytestmark = both_loops


# ── was it sent ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("serve", WITHOUT_ANSWER.values(), ids=WITHOUT_ANSWER)
async def test_a_sent_request_without_a_whole_answer_is_unanswered_and_sent_once(
    serve: Serve, open_upstream: OpenUpstream
) -> None:
    async with raw_server(serve) as server:
        http = open_upstream(server.url, timeouts=SHORT)
        with pytest.raises(Unanswered):
            await call(http, method="POST", body={"amount": 1})
        assert server.connections == 1
        assert len(server.requests) <= 1


FLOODS = {name: serve for name, serve in WITHOUT_ANSWER.items() if "flood" in name}


@pytest.mark.parametrize("serve", FLOODS.values(), ids=FLOODS)
async def test_an_answer_without_end_is_given_up_for_its_size_and_not_for_its_time(
    serve: Serve, open_upstream: OpenUpstream
) -> None:
    async with raw_server(serve) as server:
        with pytest.raises(Unanswered) as failure:
            await call(open_upstream(server.url))
        assert failure.value.reason == "the answer is too large"


# httpx bounds no size, and its parser reads these three.
LENIENT = {"length and chunks", "lines without CR", "a folded header"}
HTTPX_FAILURES = {
    name: serve
    for name, serve in WITHOUT_ANSWER.items()
    if "flood" not in name and name not in LENIENT
}


@pytest.mark.parametrize("serve", HTTPX_FAILURES.values(), ids=HTTPX_FAILURES)
async def test_the_transport_of_rare_calls_agrees(
    serve: Serve, open_upstream: OpenUpstream
) -> None:
    async with raw_server(serve) as server:
        http = open_upstream(server.url, timeouts=SHORT, transport=HttpxTransport)
        with pytest.raises(Unanswered):
            await call(http, method="POST", body={"amount": 1})
        assert server.connections == 1


async def test_a_refused_connection_is_not_connected(open_upstream: OpenUpstream) -> None:
    async with raw_server(answers(OK)) as server:
        url = server.url
    with pytest.raises(NotConnected):
        await call(open_upstream(url))


async def test_a_name_without_an_address_is_not_connected(open_upstream: OpenUpstream) -> None:
    with pytest.raises(NotConnected):
        await call(open_upstream("http://nowhere.invalid"))


async def test_a_connection_that_closes_at_once_never_delivers_what_counts_as_unsent(
    open_upstream: OpenUpstream,
) -> None:
    """The end may be seen before the request is written or after it; both are truthful."""
    received: list[bytes] = []

    async def closes(peer: Peer) -> None:
        peer.writer.write_eof()
        received.append(await peer.reader.read(65536))

    async with raw_server(closes) as server:
        with pytest.raises((NotConnected, Unanswered)) as failure:
            await call(open_upstream(server.url, timeouts=SHORT))
        while len(received) < server.connections:
            await asyncio.sleep(0)
        if failure.type is NotConnected:
            assert not any(received)


async def test_a_request_that_no_counterpart_could_read_is_never_sent(
    open_upstream: OpenUpstream,
) -> None:
    async with raw_server(answers(OK)) as server:
        http = open_upstream(server.url)
        for changes in (
            {"path": "/x y"},
            {"path": "/x\r\nHost: y"},
            {"path": "x"},
            {"path": "/ớ"},
            {"headers": {"X": "a\r\nY: b"}},
            {"headers": {"X\r\nY": "b"}},
        ):
            with pytest.raises(ValueError, match=r"header|target"):
                await call(http, **changes)
        assert server.connections == 0


# ── what is an answer ────────────────────────────────────────────────────────────────────────────

WHOLE = {
    "length": answers(OK),
    "byte by byte": answers(*[OK[i : i + 1] for i in range(len(OK))]),
    "chunks": answers(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\n{\r\n1\r\n}\r\n0\r\n\r\n"
    ),
    "chunks and a trailer": answers(
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: y\r\n\r\n"
    ),
    "1xx before it": answers(
        b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK
    ),
}
ENDING = {
    "until the end": answers_and_closes(b"HTTP/1.1 200 OK\r\n\r\n{", b"}"),
    "HTTP/1.0": answers(OK.replace(b"HTTP/1.1", b"HTTP/1.0")),
    "close": answers(OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")),
    "surplus byte": answers(OK + b"x"),
    "surplus line": answers(OK + b"\r\n"),
    "a second answer": answers(OK + OK.replace(b"200 OK", b"404 No")),
    "idle time of a second": answers(
        OK.replace(b"\r\n\r\n", b"\r\nKeep-Alive: max=9, timeout=1\r\n\r\n")
    ),
}


@pytest.mark.parametrize("serve", WHOLE.values(), ids=WHOLE)
async def test_a_whole_answer_is_read_and_its_connection_used_again(
    serve: Serve, open_upstream: OpenUpstream
) -> None:
    async with raw_server(serve) as server:
        http = open_upstream(server.url)
        for _ in range(3):
            assert await call(http) == Answer(200, b"{}")
        assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("serve", ENDING.values(), ids=ENDING)
async def test_an_answer_that_is_not_exactly_framed_ends_its_connection(
    serve: Serve, open_upstream: OpenUpstream
) -> None:
    async with raw_server(serve) as server:
        http = open_upstream(server.url)
        for _ in range(3):
            assert await call(http) == Answer(200, b"{}")
        assert (server.connections, len(server.requests)) == (3, 3)


async def test_an_answer_may_come_before_the_request_was_read(open_upstream: OpenUpstream) -> None:
    async def refuses_early(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\n{}")
        await asyncio.Event().wait()  # the body is never read

    async with raw_server(refuses_early) as server:
        http = open_upstream(server.url)
        for _ in range(2):
            answer = await call(http, method="POST", body="x" * 20_000_000)
            assert answer == Answer(413, b"{}")
        assert server.connections == 2


async def test_a_redirect_is_an_answer_and_is_not_followed(open_upstream: OpenUpstream) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(answers(moved)) as server:
        assert await call(open_upstream(server.url)) == Answer(302, b"")
        assert len(server.requests) == 1


async def test_a_post_without_a_body_has_a_length(open_upstream: OpenUpstream) -> None:
    async with raw_server(answers(OK)) as server:
        await call(open_upstream(server.url, headers={"X-Api-Key": "key"}), method="POST")
        (request,) = server.requests
        lines = request.decode().split("\r\n")
        assert lines[0] == "POST /x HTTP/1.1"
        assert {f"Host: {server.url[7:]}", "X-Api-Key: key", "Content-Length: 0"} <= set(lines)
