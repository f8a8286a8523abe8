"""A pool of connections that are reused while they are fresh."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from benchmarks.client.http import LOST, Address, Connection, Response, connect

_FRESH = 3.0
"""Seconds; servers close idle connections a little later."""


class Pool:
    """A pool that raises ConnectionRefusedError beyond *max_busy* busy connections."""

    def __init__(self, address: Address, max_busy: int = 8_000) -> None:
        self.address = address
        self.busy = 0
        self._max_busy = max_busy
        self._free: deque[tuple[Connection, float]] = deque()

    async def request(self, request: bytes, *, seconds: float) -> Response:
        """Send one request. Raises TimeoutError; a refused or ended connection is `LOST`."""
        if self.busy >= self._max_busy:
            raise ConnectionRefusedError("the client has no connection left")
        self.busy += 1
        connection: Connection | None = None
        try:
            async with asyncio.timeout(seconds):
                connection = self._fresh() or await connect(self.address)
                response = await connection.request(request)
        except OSError as error:
            if isinstance(error, TimeoutError):
                raise
            return Response(LOST, b"", b"")
        else:
            self._free.append((connection, time.monotonic()))
            connection = None
            return response
        finally:
            self.busy -= 1
            if connection is not None:
                connection.abort()

    def close(self) -> None:
        while self._free:
            self._free.pop()[0].abort()

    def _fresh(self) -> Connection | None:
        oldest = time.monotonic() - _FRESH
        while self._free:
            connection, used_at = self._free.pop()
            if connection.is_open and used_at > oldest:
                return connection
            connection.abort()
        return None
