"""Who asks: from a token to the context of a request, over HTTP and WebSocket; and the public keys."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from domain.cards import holds_card_number
from domain.staff import Unauthenticated
from resolvers import sessions
from resolvers.context import Context
from schema.authorization import bearer
from schema.graphql.errors import ApiError
from schema.graphql.http import language_of


async def http_context(request: Request) -> Context:
    """
    Return the context of a request. Without a valid token nobody asks, and what needs someone says so:
    a client whose token has expired can still log in.
    """
    base: Context = request.app.state.context
    token = bearer(request.headers.get("authorization", ""))
    language = language_of(request.headers)
    asked = base.for_actor(
        None,
        language=language,
        request_id=_request_id(request.headers),
        client_ip=request.client.host if request.client else "127.0.0.1",
    )
    if token is None:
        return asked
    try:
        actor, expires_at = await sessions.identify(asked, token)
    except Unauthenticated:
        return asked
    return asked.for_actor(
        actor,
        language=language,
        request_id=asked.request_id,
        client_ip=asked.client_ip,
        expires_at=expires_at,
    )


async def socket_context(websocket: WebSocket, payload: dict[str, Any]) -> Context:
    """Return the context of a socket, which needs a valid token at once. Raises ApiError."""
    base: Context = websocket.app.state.context
    given = [payload[name] for name in payload if name.lower() == "authorization"]
    token = bearer(str(next((value for value in given if value), "")))
    if token is None:
        raise ApiError("UNAUTHENTICATED")
    try:
        actor, expires_at = await sessions.identify(base, token)
    except Unauthenticated:
        raise ApiError("UNAUTHENTICATED") from None
    return base.for_actor(
        actor,
        language=language_of(websocket.headers),
        request_id=_request_id(websocket.headers),
        client_ip=websocket.client.host if websocket.client else "127.0.0.1",
        expires_at=expires_at,
    )


async def admit(context: Context) -> bool:
    """Tell whether the session behind a socket is still open: a logout ends what it may do at once."""
    return await sessions.is_open(context)


def fresh(context: Context) -> Context:
    """Return the same asker with nothing read yet: for each operation and event of a socket."""
    return context.for_actor(
        context.actor,
        language=context.language,
        request_id=context.request_id,
        client_ip=context.client_ip,
        expires_at=context.expires_at,
    )


async def jwks(request: Request) -> Response:
    """The keys by which anyone checks our tokens and receipts."""
    keys = request.app.state.context.keys
    return JSONResponse(
        {"keys": [*keys.tokens.jwks, *keys.receipts.jwks]},
        headers={"cache-control": "public, max-age=300"},
    )


def _request_id(headers: Headers) -> str:
    """Return the caller's request id where it is a plain short one, else one of ours: it is kept."""
    given = headers.get("x-request-id", "")
    plain = 0 < len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum()
    return given if plain and not holds_card_number(given) else uuid.uuid4().hex
