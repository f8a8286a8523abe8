"""A counterpart of our own on a real socket, which answers, keeps silent or breaks off as a test orders."""

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
class Line:
    """The open connection, and the moment at which the test is over."""

    writer: asyncio.StreamWriter
    over: asyncio.Event

    async def write(self, data: bytes) -> None:
        if self.writer.transport.is_closing():  # uvloop calls this a mistake of ours
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()


Act = Callable[[Seen, Line], Awaitable[None]]


def says(body: object, status: int = 200) -> Act:
    async def act(seen: Seen, line: Line) -> None:
        told = body(seen) if callable(body) else body
        data = told if isinstance(told, bytes) else json.dumps(told).encode()
        await line.write(_head(status, len(data)) + data)

    return act


async def silence(seen: Seen, line: Line) -> None:
    """The request was read and worked on; the answer never comes."""
    await line.over.wait()


async def reset(seen: Seen, line: Line) -> None:
    sock = line.writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.writer.transport.abort()


async def truncated(seen: Seen, line: Line) -> None:
    await line.write(_head(200, 1000) + b'{"code": "00", "message": "Succ')


async def drips(seen: Seen, line: Line) -> None:
    """Never silent for long, and never done."""
    await line.write(_head(200, 100_000))
    while not line.over.is_set():
        await line.write(b" ")
        await asyncio.sleep(0.02)


half_json = says(b'{"code": "00", "status": "pen')
not_json = says(b"<html>maintenance</html>")
server_error = says({"error": {"code": "INTERNAL", "message": "internal"}}, 500)


class Counterpart:
    """It has an address from the start, and answers there once it is open."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.deaf = False  # accepts connections and reads nothing
        self._acts: deque[Act] = deque()
        self._always: Act = says({})
        self._over = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def will(self, *acts: Act) -> None:
        """Do these once each, before what it always does."""
        self._acts.extend(acts)

    def always(self, act: Act) -> None:
        self._always = act

    async def open(self, tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._serve, sock=self._socket, ssl=tls)
        self.url = self.url.replace("http://127.0.0.1", "https://localhost") if tls else self.url

    async def close(self) -> None:
        """Hang up; afterwards nobody listens at the address."""
        self._over.set()
        assert self._server
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        self._socket.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(writer, self._over)
        try:
            if self.deaf:
                await self._over.wait()
                return
            seen = await _read(reader)
            self.seen.append(seen)
            act = self._acts.popleft() if self._acts else self._always
            await act(seen, line)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Seen:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.strip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = target.partition("?")
    return Seen(method, path, query, headers, body)


def _head(status: int, length: int) -> bytes:
    return (
        f"HTTP/1.1 {status} Whatever\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\nConnection: close\r\n\r\n"
    ).encode()
