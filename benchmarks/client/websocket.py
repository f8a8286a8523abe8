"""A light WebSocket client of `graphql-transport-ws`: text frames, and no task per socket."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import time
from collections.abc import Callable
from typing import cast

from benchmarks.client.http import Address

OnMessage = Callable[[bytes, float], None]
"""Called with a message and the Unix time at which it was read."""

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_MASK = b"\0\0\0\0"
"""A mask of zeros is allowed, and makes masking unnecessary."""


class Socket(asyncio.Protocol):
    """One socket. Every message goes to `on_message`; a lost connection sets `closed`."""

    def __init__(self, address: Address, path: str) -> None:
        self._address = address
        self._path = path
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._is_upgraded = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed = False
        self.close_code: int | None = None
        self.on_message: OnMessage = lambda message, at: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        key = base64.b64encode(os.urandom(16)).decode()
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nhost: {self._address.host}:{self._address.port}\r\n"
            "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\n"
            f"sec-websocket-key: {key}\r\n"
            "sec-websocket-protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.closed = True
        if not self.opened.done():
            self.opened.set_exception(ConnectionError("the socket was refused"))

    def data_received(self, data: bytes) -> None:
        self._received = self._received + data if self._received else data
        if not self._is_upgraded:
            self._read_upgrade()
        while self._is_upgraded and self._read_frame():
            pass

    def send(self, message: dict[str, object]) -> None:
        """Send one message as a text frame, or nothing on a lost connection."""
        self._write(_TEXT, json.dumps(message).encode())

    def abort(self) -> None:
        """End the connection without a close frame, as a lost network does."""
        if self._transport is not None:
            self._transport.abort()

    def _read_upgrade(self) -> None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        head, self._received = self._received[:end], self._received[end + 4 :]
        if head[9:12] != b"101":
            self.abort()
            return
        self._is_upgraded = True
        self.opened.set_result(None)

    def _read_frame(self) -> bool:
        received = self._received
        if len(received) < 2:
            return False
        length, start = received[1] & 127, 2
        if length == 126:
            length, start = int.from_bytes(received[2:4]), 4
        elif length == 127:
            length, start = int.from_bytes(received[2:10]), 10
        if len(received) < start + length:
            return False
        payload = received[start : start + length]
        self._received = received[start + length :]
        match received[0] & 15:
            case 1:
                self.on_message(payload, time.time())
            case 8:
                self.close_code = int.from_bytes(payload[:2]) if len(payload) > 1 else None
                self.abort()
            case 9:
                self._write(_PONG, payload)
            case _:
                pass
        return True

    def _write(self, opcode: int, payload: bytes) -> None:
        if self._transport is None:
            return
        size = len(payload)
        length = bytes([128 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
        self._transport.write(bytes([128 | opcode]) + length + _MASK + payload)


async def open_socket(address: Address, path: str = "/graphql") -> Socket:
    """Return a socket that the server has accepted. Raises OSError where it is refused."""
    loop = asyncio.get_running_loop()
    _, socket = await loop.create_connection(
        lambda: Socket(address, path), address.host, address.port
    )
    await socket.opened
    return socket
