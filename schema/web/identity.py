"""Identity: from a token to the context of a request or socket; and the public keys."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from domain.staff import Unauthenticated
from integrations.http.client import request_id as outgoing_request_id
from resolvers import sessions
from resolvers.context import Context
from schema.authorization import bearer
from schema.graphql.errors import ApiError
from schema.graphql.http import language_of
from schema.graphql.request_ids import request_id_of


async def http_context(request: Request) -> Context:
    """
    Return the context of a request, without an actor where the token is missing or invalid.

    So a client can still log in with an expired token; other operations refuse it themselves.
    """
    process_context: Context = request.app.state.context
    request_id = request_id_of(request.scope)
    outgoing_request_id.set(request_id)
    actor = expires_at = None
    if token := bearer(request.headers.get("authorization", "")):
        with suppress(Unauthenticated):
            actor, expires_at = await sessions.identify(process_context, token)
    return process_context.for_actor(
        actor,
        language=language_of(request.headers),
        request_id=request_id,
        client_ip=request.client.host if request.client else "127.0.0.1",
        expires_at=expires_at,
    )


async def socket_context(websocket: WebSocket, payload: dict[str, Any]) -> Context:
    """Return the context of a socket. Raises ApiError without a valid token."""
    process_context: Context = websocket.app.state.context
    headers = [payload[name] for name in payload if name.lower() == "authorization"]
    token = bearer(str(next((header for header in headers if header), "")))
    if token is None:
        raise ApiError("UNAUTHENTICATED")
    try:
        actor, expires_at = await sessions.identify(process_context, token)
    except Unauthenticated:
        raise ApiError("UNAUTHENTICATED") from None
    return process_context.for_actor(
        actor,
        language=language_of(websocket.headers),
        request_id=request_id_of(websocket.scope),
        client_ip=websocket.client.host if websocket.client else "127.0.0.1",
        expires_at=expires_at,
    )


def renew(context: Context) -> Context:
    """Return a socket's context for its next operation or event, without loaded data."""
    outgoing_request_id.set(context.request_id)
    return context.for_actor(
        context.actor,
        language=context.language,
        request_id=context.request_id,
        client_ip=context.client_ip,
        expires_at=context.expires_at,
    )


async def jwks(request: Request) -> Response:
    """Serve the public keys that verify our tokens and receipts."""
    keys = request.app.state.context.keys
    return JSONResponse(
        {"keys": [*keys.tokens.jwks, *keys.receipts.jwks]},
        headers={"cache-control": "public, max-age=300"},
    )
