"""A client of `graphql-transport-ws` that says what a test wants it to say."""

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

    async def say(self, frame: object) -> None:
        await self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    async def record_vote(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            frame = await self.socket.recv()
        assert isinstance(frame, str)
        return json.loads(frame)

    async def greet(self, token: str | None = None) -> None:
        payload = {} if token is None else {"payload": {"authorization": f"Bearer {token}"}}
        await self.say({"type": "connection_init"} | payload)
        assert await self.record_vote() == {"type": "connection_ack"}

    async def ask(self, query: str, id: str = "1", **more: Any) -> None:
        await self.say({"id": id, "type": "subscribe", "payload": {"query": query} | more})

    async def closed(self) -> tuple[int, str]:
        async with asyncio.timeout(20):
            await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def client(served: Served, *, greeted: bool = True, **options: Any) -> AsyncIterator[Client]:
    options = {"subprotocols": PROTOCOL, "compression": None} | options
    async with connect(served.ws, **options) as socket:
        speaker = Client(socket)
        if greeted:
            await speaker.greet()
        yield speaker
