"""A light HTTP/1.1 client: one request at a time per connection, and no task per request."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast
from urllib.parse import urlsplit

LOST = 0
"""The status of a request whose connection ended before a whole answer."""


class Response(NamedTuple):
    """An answer; the status `LOST` means that the connection ended first."""

    status: int
    head: bytes
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


OnResponse = Callable[[Response], None]


class Address(NamedTuple):
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Address:
        parts = urlsplit(url)
        return cls(parts.hostname or "127.0.0.1", parts.port or 80)


def post(path: str, body: object, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a POST; a *body* that is not bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = {"content-type": "application/json", "content-length": str(len(content))}
    return _head("POST", path, more | dict(headers or {})) + content


def get(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a GET."""
    return _head("GET", path, headers or {})


def _head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{lines}\r\n".encode()


class Connection(asyncio.Protocol):
    """One connection. An answer without a content length counts as lost."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._on_response: OnResponse | None = None
        self._received = b""
        self._head = b""
        self._needed = -1

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._answer(Response(LOST, b"", b""))

    def send(self, request: bytes, on_response: OnResponse) -> None:
        """Send *request*; *on_response* is called once, even where the connection ends first."""
        assert self._on_response is None, "the connection carries another request"
        self._on_response = on_response
        if self._transport is None:
            asyncio.get_running_loop().call_soon(self._answer, Response(LOST, b"", b""))
        else:
            self._transport.write(request)

    def request(self, request: bytes) -> asyncio.Future[Response]:
        """Send *request* and return the future of its answer."""
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def answered(response: Response) -> None:
            if not future.done():
                future.set_result(response)

        self.send(request, answered)
        return future

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once; a waiting request counts as lost."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        if self._needed < 0:
            end = received.find(b"\r\n\r\n")
            if end < 0:
                self._received = received
                return
            self._head = received[: end + 2]
            self._needed = _content_length(self._head)
            received = received[end + 4 :]
            if self._needed < 0:
                self.abort()
                return
        if len(received) < self._needed:
            self._received = received
            return
        response = Response(int(self._head[9:12]), self._head, received[: self._needed])
        self._received, self._needed = b"", -1
        self._answer(response)

    def _answer(self, response: Response) -> None:
        if (on_response := self._on_response) is not None:
            self._on_response = None
            on_response(response)


def _content_length(head: bytes) -> int:
    lowered = head.lower()
    start = lowered.find(b"\r\ncontent-length:")
    if start < 0:
        return 0 if lowered[9:12] in (b"204", b"304") else -1
    return int(lowered[start + 17 : lowered.index(b"\r\n", start + 2)])


async def connect(address: Address) -> Connection:
    """Return a new connection. Raises OSError where it is refused."""
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(Connection, address.host, address.port)
    return connection


async def fetch(address: Address, request: bytes, *, seconds: float = 40.0) -> Response:
    """Send one request over its own connection; a late answer is `LOST` too."""
    try:
        async with asyncio.timeout(seconds):
            connection = await connect(address)
            try:
                return await connection.request(request)
            finally:
                connection.close()
    except (OSError, TimeoutError):
        return Response(LOST, b"", b"")
