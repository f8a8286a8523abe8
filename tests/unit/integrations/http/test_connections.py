"""The transports: what was sent, what is an answer, and which connection is used again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from integrations.http import connection
from integrations.http.client import Timeouts, Upstream
from integrations.http.failures import NotConnected, Unanswered
from integrations.http.httpx_transport import HttpxTransport
from integrations.http.messages import Answer, Request
from integrations.http.tls import Tls
from tests.support.raw_server import (
    OK,
    WITHOUT_ANSWER,
    Peer,
    RawServer,
    Serve,
    answers,
    answers_and_closes,
    raw_server,
    reads_and_is_silent,
)

PATIENT = Timeouts(connect=20, read=20, total=20)
SHORT = Timeouts(connect=0.3, read=0.3, total=0.5)


@pytest.fixture(params=[True, False], ids=["uvloop", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


Opened = Callable[..., Upstream]


@pytest.fixture
async def open_upstream() -> AsyncIterator[Opened]:
    """Open clients that the end of the test closes."""
    opened: list[Upstream] = []

    def open_one(url: str, **options: Any) -> Upstream:
        opened.append(Upstream("raw", url, **({"timeouts": PATIENT} | options)))
        return opened[-1]

    yield open_one
    for http in opened:
        await http.aclose()


def read(answer: Answer) -> Answer:
    return answer


async def call(
    http: Upstream, *, method: str = "GET", body: object = None, repeatable: bool = False
) -> Answer:
    request = Request(
        operation="op", method=method, path="/x", body=body, subject=None, repeatable=repeatable
    )
    return await http.call(request, read)


# ── was it sent ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("serve", WITHOUT_ANSWER.values(), ids=WITHOUT_ANSWER)
async def test_a_sent_request_without_a_whole_answer_is_unanswered_and_sent_once(
    serve: Serve, open_upstream: Opened
) -> None:
    async with raw_server(serve) as server:
        http = open_upstream(server.url, timeouts=SHORT)
        with pytest.raises(Unanswered):
            await call(http, method="POST", body={"amount": 1})
        assert server.connections == 1
        assert len(server.requests) <= 1


# httpx bounds no size, and its parser reads these three.
LENIENT = {"length and chunks", "lines without CR", "a folded header"}
HTTPX_FAILURES = {
    name: serve
    for name, serve in WITHOUT_ANSWER.items()
    if "flood" not in name and name not in LENIENT
}


@pytest.mark.parametrize("serve", HTTPX_FAILURES.values(), ids=HTTPX_FAILURES)
async def test_the_transport_of_rare_calls_agrees(serve: Serve, open_upstream: Opened) -> None:
    async with raw_server(serve) as server:
        http = open_upstream(server.url, timeouts=SHORT, transport=HttpxTransport)
        with pytest.raises(Unanswered):
            await call(http, method="POST", body={"amount": 1})
        assert server.connections == 1


async def test_a_refused_connection_is_not_connected(open_upstream: Opened) -> None:
    async with raw_server(answers(OK)) as server:
        url = server.url
    with pytest.raises(NotConnected):
        await call(open_upstream(url))


async def test_a_name_without_an_address_is_not_connected(open_upstream: Opened) -> None:
    with pytest.raises(NotConnected):
        await call(open_upstream("http://nowhere.invalid"))


async def test_a_connection_that_closes_at_once_never_delivers_what_counts_as_unsent(
    open_upstream: Opened,
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
    open_upstream: Opened,
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
            request = Request(
                **{"operation": "op", "method": "GET", "path": "/", "subject": None} | changes
            )
            with pytest.raises(ValueError, match=r"header|target"):
                await http.call(request, read)
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
    serve: Serve, open_upstream: Opened
) -> None:
    async with raw_server(serve) as server:
        http = open_upstream(server.url)
        for _ in range(3):
            assert await call(http) == Answer(200, b"{}")
        assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize("serve", ENDING.values(), ids=ENDING)
async def test_an_answer_that_is_not_exactly_framed_ends_its_connection(
    serve: Serve, open_upstream: Opened
) -> None:
    async with raw_server(serve) as server:
        http = open_upstream(server.url)
        for _ in range(3):
            assert await call(http) == Answer(200, b"{}")
        assert (server.connections, len(server.requests)) == (3, 3)


async def test_an_answer_may_come_before_the_request_was_read(open_upstream: Opened) -> None:
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


async def test_a_redirect_is_an_answer_and_is_not_followed(open_upstream: Opened) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /y\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(answers(moved)) as server:
        assert await call(open_upstream(server.url)) == Answer(302, b"")
        assert len(server.requests) == 1


async def test_a_post_without_a_body_has_a_length(open_upstream: Opened) -> None:
    async with raw_server(answers(OK)) as server:
        await call(open_upstream(server.url, headers={"X-Api-Key": "key"}), method="POST")
        (request,) = server.requests
        lines = request.decode().split("\r\n")
        assert lines[0] == "POST /x HTTP/1.1"
        assert {f"Host: {server.url[7:]}", "X-Api-Key: key", "Content-Length: 0"} <= set(lines)


# ── which connection is used again ───────────────────────────────────────────────────────────────


async def dies_on_the_second_request(peer: Peer) -> None:
    await peer.request()
    await peer.write(OK)
    await peer.request()
    peer.reset()


async def test_a_request_on_a_connection_that_dies_is_unanswered_and_not_repeated(
    open_upstream: Opened,
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
    open_upstream: Opened,
) -> None:
    async with raw_server(dies_on_the_second_request) as server:
        http = open_upstream(server.url)
        for _ in range(2):
            assert (await call(http, repeatable=True)).ok
        assert (server.connections, len(server.requests)) == (2, 3)


@pytest.mark.parametrize("late", [b"", b"x", OK], ids=["end", "byte", "answer"])
async def test_a_connection_that_spoke_or_ended_while_idle_carries_no_request(
    late: bytes, open_upstream: Opened
) -> None:
    ended = asyncio.Event()

    async def speaks_late(peer: Peer) -> None:
        await peer.request()
        await peer.write(OK)
        if peer.number == 1:
            if late:
                await peer.write(late)
                await peer.end_of_client()
            peer.writer.close()
            ended.set()
        await peer.end_of_client()

    async with raw_server(speaks_late) as server:
        http = open_upstream(server.url)
        await call(http)
        await ended.wait()
        assert (await call(http)).status == 200
        assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_cancelled_call_ends_its_connection(open_upstream: Opened) -> None:
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
        await closed.wait()
        assert (await call(http)).ok
        assert server.connections == 2


async def test_a_cancel_at_the_moment_of_the_answer_ends_the_connection_too(
    open_upstream: Opened, monkeypatch: pytest.MonkeyPatch
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
    open_upstream: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.write(OK)
        await peer.end_of_client()
        closed.set()

    monkeypatch.setattr("integrations.http.pool.IDLE_SECONDS", 0.01)
    monkeypatch.setattr("integrations.http.connection.IDLE_SECONDS", 0.01)
    async with raw_server(serve) as server:
        await call(open_upstream(server.url))
        await closed.wait()  # no later call is needed for it
        assert server.connections == 1


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def secure_server(
    authority: trustme.CA, *, name: str = "localhost", client: bool = False, **options: Any
) -> AsyncIterator[RawServer]:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(tls)
    if client:
        authority.configure_trust(tls)
        tls.verify_mode = ssl.CERT_REQUIRED
    for option, value in options.items():
        setattr(tls, option, value)
    async with raw_server(answers(OK), tls) as server:
        yield server


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA, tmp_path: Path) -> Tls:
    authority.cert_pem.write_to_path(str(tmp_path / "ca"))
    return Tls(ca=str(tmp_path / "ca"))


async def test_one_handshake_carries_many_requests(
    authority: trustme.CA, trust: Tls, open_upstream: Opened
) -> None:
    async with secure_server(authority) as server:
        http = open_upstream(server.url, tls=trust)
        for _ in range(3):
            assert await call(http) == Answer(200, b"{}")
        assert (server.connections, len(server.requests)) == (1, 3)


@pytest.mark.parametrize(
    "options",
    [{"name": "elsewhere.example"}, {"maximum_version": ssl.TLSVersion.TLSv1_1}],
    ids=["another name", "TLS 1.1"],
)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_a_counterpart_that_does_not_prove_itself_gets_no_request(
    options: dict[str, Any], authority: trustme.CA, trust: Tls, open_upstream: Opened
) -> None:
    async with secure_server(authority, **options) as server:
        with pytest.raises(NotConnected):
            await call(open_upstream(server.url, tls=trust))
        assert server.requests == []


async def test_a_certificate_of_an_unknown_authority_gets_no_request(
    authority: trustme.CA, open_upstream: Opened
) -> None:
    async with secure_server(authority) as server:
        with pytest.raises(NotConnected):
            await call(open_upstream(server.url))
        assert server.requests == []


async def test_a_client_certificate_is_presented_and_its_lack_is_a_failure(
    authority: trustme.CA, trust: Tls, open_upstream: Opened, tmp_path: Path
) -> None:
    ours = authority.issue_cert("mobinet@client")
    ours.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "cert"))
    own = Tls(ca=trust.ca, cert=str(tmp_path / "cert"))
    async with secure_server(authority, client=True) as server:
        assert (await call(open_upstream(server.url, tls=own))).ok
        with pytest.raises((NotConnected, Unanswered)):
            await call(open_upstream(server.url, tls=trust, timeouts=SHORT))
        assert len(server.requests) == 1
