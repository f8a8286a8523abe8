"""A client of `graphql-transport-ws` that can send any frame."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.support.graphql_server import Served

PROTOCOL: list[Any] = ["graphql-transport-ws"]


class Client:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            frame = await self.socket.recv()
        assert isinstance(frame, str)
        return json.loads(frame)

    async def initialise(self, token: str | None = None) -> None:
        payload = {} if token is None else {"payload": {"authorization": f"Bearer {token}"}}
        await self.send({"type": "connection_init"} | payload)
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(self, query: str, id: str = "1", **members: Any) -> None:
        await self.send({"id": id, "type": "subscribe", "payload": {"query": query} | members})

    async def closed(self) -> tuple[int, str]:
        """Wait until the server closes, and return the code and the reason."""
        async with asyncio.timeout(20):
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def client(
    served: Served, *, initialised: bool = True, **options: Any
) -> AsyncIterator[Client]:
    options = {"subprotocols": PROTOCOL, "compression": None} | options
    async with connect(served.ws, **options) as socket:
        connected = Client(socket)
        if initialised:
            await connected.initialise()
        yield connected
