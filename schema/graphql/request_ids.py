"""Request ids: the caller's or a new one, sent back in `X-Request-Id` with every HTTP response."""

from __future__ import annotations

import random
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.cards import holds_card_number

HEADER: Final = b"x-request-id"
_KEY: Final = "request_id"
_STARTS: Final = frozenset({"http.response.start", "websocket.accept"})


def request_id_of(scope: Scope) -> str:
    """Return the id that `RequestIds` gave to this request or socket; "" where it does not run."""
    return scope.get(_KEY, "")


class RequestIds:
    """ASGI middleware that gives each request and socket its id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        scope[_KEY] = request_id = _sent(scope) or f"{random.getrandbits(128):032x}"
        header = (HEADER, request_id.encode())

        async def send_with_id(message: Message) -> None:
            if message["type"] in _STARTS:
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        await self.app(scope, receive, send_with_id)


def _sent(scope: Scope) -> str:
    """Return the caller's id if it is short and plain, because it is stored; else ""."""
    sent = next((value for name, value in scope["headers"] if name == HEADER), b"").decode(
        "latin-1"
    )
    plain = len(sent) <= 64 and sent.isascii() and sent.replace("-", "").isalnum()
    return sent if plain and not holds_card_number(sent) else ""
