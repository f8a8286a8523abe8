"""A counterpart on a real socket that answers, stays silent or disconnects as a test sets it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl


@dataclass(frozen=True)
class Seen:
    """A request that the counterpart has received."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fields(self) -> dict[str, str]:
        return dict(parse_qsl(self.query))


@dataclass(frozen=True)
class Connection:
    """The open connection, and an event that is set when the test ends."""

    writer: asyncio.StreamWriter
    test_ended: asyncio.Event

    async def write(self, data: bytes) -> None:
        if self.writer.transport.is_closing():  # uvloop would log this write as an error
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()


Act = Callable[[Seen, Connection], Awaitable[None]]


def says(body: object, status: int = 200) -> Act:
    """Answer with *body*: bytes, a value to send as JSON, or a function of the request."""

    async def act(seen: Seen, connection: Connection) -> None:
        content = body(seen) if callable(body) else body
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        await connection.write(_head(status, len(data)) + data)

    return act


async def silence(seen: Seen, connection: Connection) -> None:
    """Read the request and never answer."""
    await connection.test_ended.wait()


async def reset(seen: Seen, connection: Connection) -> None:
    sock = connection.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.writer.transport.abort()


async def truncated(seen: Seen, connection: Connection) -> None:
    await connection.write(_head(200, 1000) + b'{"code": "00", "message": "Succ')


async def endless_answer(seen: Seen, connection: Connection) -> None:
    """Send one byte after the other, without end."""
    await connection.write(_head(200, 100_000))
    while not connection.test_ended.is_set():
        await connection.write(b" ")
        await asyncio.sleep(0.02)


half_json = says(b'{"code": "00", "status": "pen')
not_json = says(b"<html>maintenance</html>")
server_error = says({"error": {"code": "INTERNAL", "message": "internal"}}, 500)


class Counterpart:
    """A server with an address from the start, which answers there once it is open."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.reads_nothing = False  # it accepts connections only
        self._acts: deque[Act] = deque()
        self._always: Act = says({})
        self._test_ended = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def will(self, *acts: Act) -> None:
        """Queue acts for the next requests, one each; later requests get the default act."""
        self._acts.extend(acts)

    def always(self, act: Act) -> None:
        self._always = act

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket, ssl=tls)
        self.url = self.url.replace("http://127.0.0.1", "https://localhost") if tls else self.url

    async def close(self) -> None:
        """End all connections; afterwards the address refuses new ones."""
        self._test_ended.set()
        assert self._server
        self._server.close()
        self.close_socket()

    def close_socket(self) -> None:
        self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(writer, self._test_ended)
        try:
            if self.reads_nothing:
                await self._test_ended.wait()
                return
            seen = await _read(reader)
            self.seen.append(seen)
            act = self._acts.popleft() if self._acts else self._always
            await act(seen, connection)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    parts = [line.partition(":") for line in lines]
    headers = {name.lower(): value.strip() for name, _, value in parts}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = target.partition("?")
    return Seen(method, path, query, headers, body)


def _head(status: int, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()


# The behaviours that leave the outcome unknown.
SILENCES = {
    "a timeout": silence,
    "a reset": reset,
    "a 500": server_error,
    "a truncated answer": truncated,
    "half a JSON": half_json,
    "something else": not_json,
}
