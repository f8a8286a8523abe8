"""A synchronous client of the API's GraphQL WebSocket."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

from websockets.sync.client import connect

from tests.support.api import Api


class Socket:
    def __init__(self, api: Api, token: str | None) -> None:
        self._stack = ExitStack()
        url = api.url.replace("http", "ws") + "/graphql"
        self._socket = self._stack.enter_context(
            connect(url, subprotocols=["graphql-transport-ws"])
        )
        payload = {"authorization": f"Bearer {token}"} if token else {}
        self.send(type="connection_init", payload=payload)

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def send(self, **message: Any) -> None:
        self._socket.send(json.dumps(message))

    def next(self) -> dict[str, Any]:
        return json.loads(self._socket.recv(timeout=20))

    def subscribe(self, document: str, variables: dict[str, Any]) -> None:
        assert self.next()["type"] == "connection_ack"
        self.send(type="subscribe", id="1", payload={"query": document, "variables": variables})
