"""A server of raw bytes: a test decides what each connection answers, and when it ends."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@dataclass(slots=True)
class Peer:
    """One accepted connection; `number` counts the connections of its server from 1."""

    server: RawServer
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """Return the next request, head and body. Raises IncompleteReadError at the end."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        request = head + await self.reader.readexactly(length)
        self.server.requests.append(request)
        return request

    async def write(self, data: bytes) -> None:
        if self.writer.transport.is_closing():
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def end_of_client(self) -> None:
        """Wait until the client has closed the connection."""
        with suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Serve = Callable[[Peer], Awaitable[None]]


@dataclass(slots=True)
class RawServer:
    """Counts the connections that it has accepted and the requests that it has read."""

    serve: Serve
    url: str = ""
    connections: int = 0
    open_connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    _handlers: set[asyncio.Task[None]] = field(default_factory=set)

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        self.connections += 1
        self.open_connections += 1
        try:
            await self.serve(Peer(self, self.connections, reader, writer))
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # a cancel comes from `stop` alone
        finally:
            self.open_connections -= 1
            self._handlers.discard(task)
            writer.close()

    async def stop(self) -> None:
        handlers = list(self._handlers)
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


@asynccontextmanager
async def raw_server(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    running = RawServer(serve)
    listener = await asyncio.start_server(running.accept, "127.0.0.1", 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    running.url = f"https://localhost:{port}" if tls else f"http://127.0.0.1:{port}"
    try:
        yield running
    finally:
        listener.close()
        await running.stop()


def answers(*parts: bytes) -> Serve:
    """Read each request and write *parts*, one after the other, until the client closes."""

    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            for part in parts:
                await peer.write(part)
                await asyncio.sleep(0)

    return serve


def answers_and_closes(*parts: bytes) -> Serve:
    async def serve(peer: Peer) -> None:
        await peer.request()
        for part in parts:
            await peer.write(part)

    return serve


# ── behaviours that leave a request without a usable answer ──────────────────────────────────────


async def reads_and_resets(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def reads_and_is_silent(peer: Peer) -> None:
    await peer.request()
    await peer.end_of_client()


async def reads_nothing(peer: Peer) -> None:
    await asyncio.Event().wait()


async def drips(peer: Peer) -> None:
    """Send one byte after the other, faster than the client's patience for silence."""
    await peer.request()
    await peer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        await peer.write(b" ")
        await asyncio.sleep(0.01)


def floods(start: bytes, repeated: bytes) -> Serve:
    """Write *start*, and *repeated* until the client closes."""

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.write(start)
        while True:
            await peer.write(repeated)

    return serve


_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

WITHOUT_ANSWER: dict[str, Serve] = {
    "reads and closes": answers_and_closes(),
    "reads and resets": reads_and_resets,
    "silent": reads_and_is_silent,
    "reads nothing": reads_nothing,
    "drips": drips,
    "half a head": answers_and_closes(_HEAD + b"Content-Le"),
    "half a body": answers_and_closes(_HEAD + b"Content-Length: 9\r\n\r\n{}"),
    "half the chunks": answers_and_closes(_CHUNKED + b"2\r\n{}\r\n"),
    "no chunk size": answers(_CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "a chunk longer than its size": answers(_CHUNKED + b"1\r\n{}\r\n0\r\n\r\n"),
    "two lengths": answers(_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{} "),
    "length and chunks": answers(
        _HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    ),
    "an unknown coding": answers_and_closes(_HEAD + b"Transfer-Encoding: gzip\r\n\r\n{}"),
    "lines without CR": answers(b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}"),
    "a folded header": answers(_HEAD + b"X: a\r\n b\r\nContent-Length: 2\r\n\r\n{}"),
    "another protocol": answers(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "an upgrade": answers(
        b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n" + OK
    ),
    "only 1xx": answers_and_closes(b"HTTP/1.1 100 Continue\r\n\r\n"),
    "500": answers(b"HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\n{}"),
    "flood with a length": floods(_HEAD + b"Content-Length: 99999999999\r\n\r\n", b" " * 65536),
    "flood without a length": floods(_HEAD + b"\r\n", b" " * 65536),
    "flood of chunks": floods(_CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "flood of small chunks": floods(_CHUNKED, b"1;" + b"x" * 999 + b"\r\n \r\n"),
    "flood of headers": floods(_HEAD, b"X-Filler: " + b"x" * 1000 + b"\r\n"),
    "flood in one header": floods(_HEAD + b"X-Filler: ", b"x" * 65536),
    "flood of trailers": floods(_CHUNKED + b"0\r\n", b"X-Filler: " + b"x" * 1000 + b"\r\n"),
    "flood of 1xx": floods(b"", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 100),
}
"""What a counterpart can do after the request was sent; nothing is known of its effect then."""
