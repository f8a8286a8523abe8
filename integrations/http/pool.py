"""
The pooled transport: connections to one origin, which carry one request at a time.

It sends each request once, follows no redirect and uses no proxy. The bulkhead before it bounds
the number of connections.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

from integrations.http.calls import Call, Timeouts
from integrations.http.connection import IDLE_SECONDS, Connection
from integrations.http.failures import TransportError
from integrations.http.messages import Answer

_TARGET = re.compile(r"/[\x21-\x7e]*", re.ASCII)
_HEADERS = re.compile(r"(?:[A-Za-z0-9-]+: [\x20-\x7e]*\r\n)*", re.ASCII)


class PooledTransport:
    """The last connection that became idle is used first, so that the others can expire."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str], tls: ssl.SSLContext, timeouts: Timeouts
    ) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        is_secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port or (443 if is_secure else 80)
        self._tls = tls if is_secure else None
        self._timeouts = timeouts
        self._path = parts.path
        host = parts.netloc.rpartition("@")[2]
        own = {"Host": host, "User-Agent": "mobinet", "Accept-Encoding": "identity"}
        self._own_headers = _lines(own | dict(headers))
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    @property
    def open_connections(self) -> int:
        return sum(connection.is_open for connection in self._open)

    async def exchange(self, call: Call) -> Answer:
        message = self._message(call)
        connection = self._take_idle() or await self._connect()
        try:
            return await connection.exchange(message, call.progress, silence=self._timeouts.read)
        finally:
            self._put_back(connection)

    async def aclose(self) -> None:
        """Close all connections; calls that still run fail."""
        self._is_closed = True
        for connection in list(self._open):
            connection.abort()
        self._open.clear()
        self._idle.clear()
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()

    # ── the message ──────────────────────────────────────────────────────────────────────────────

    def _message(self, call: Call) -> bytes:
        """Return the request's bytes. Raises ValueError for what would not be one request."""
        target = self._path + call.request.target
        if _TARGET.fullmatch(target) is None:
            raise ValueError("the target of the request is not a path in ASCII")
        content = call.content
        if content is None and call.request.method in {"POST", "PUT", "PATCH"}:
            content = b""
        length = "" if content is None else f"Content-Length: {len(content)}\r\n"
        head = (
            f"{call.request.method} {target} HTTP/1.1\r\n"
            f"{self._own_headers}{_lines(call.headers)}{length}\r\n"
        )
        return head.encode("ascii") + (content or b"")

    # ── the connections ──────────────────────────────────────────────────────────────────────────

    def _take_idle(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable:
                return connection
            self._drop(connection)
        return None

    async def _connect(self) -> Connection:
        """Return a new connection. Raises TransportError."""
        connection = Connection()
        self._open.add(connection)
        try:
            async with asyncio.timeout(self._timeouts.connect):
                await asyncio.get_running_loop().create_connection(
                    lambda: connection, self._host, self._port, ssl=self._tls
                )
        except BaseException as error:
            self._drop(connection)
            if isinstance(error, OSError):  # a refusal, a timeout, or a certificate
                raise TransportError(type(error).__name__) from error
            raise
        if self._is_closed:
            self._drop(connection)
            raise TransportError("the client is closed")
        return connection

    def _put_back(self, connection: Connection) -> None:
        if self._is_closed or connection.is_expired:
            self._drop(connection)
            return
        self._idle.append(connection)
        if self._sweep_timer is None:
            loop = asyncio.get_running_loop()
            self._sweep_timer = loop.call_later(IDLE_SECONDS, self._sweep)

    def _drop(self, connection: Connection) -> None:
        connection.abort()
        self._open.discard(connection)

    def _sweep(self) -> None:
        """Close the idle connections whose time is over."""
        self._sweep_timer = None
        idle, self._idle = self._idle, []
        for connection in idle:
            if connection.is_expired:
                self._drop(connection)
            else:
                self._idle.append(connection)
        if self._idle:
            loop = asyncio.get_running_loop()
            self._sweep_timer = loop.call_later(IDLE_SECONDS, self._sweep)


def _lines(headers: Mapping[str, str]) -> str:
    """Return *headers* as lines. Raises ValueError for a header that is not one line."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    if _HEADERS.fullmatch(lines) is None or lines.count("\r\n") != len(headers):
        raise ValueError("a header is not one line of ASCII")
    return lines
