"""Who asks: from a token to the context of a request, over HTTP and WebSocket; and the public keys."""

from __future__ import annotations

import uuid
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket

from domain.cards import holds_card_number
from domain.refusals import Language, Refusal, UpstreamUnavailable
from domain.staff import InvalidCredentials, Role, TooManyTries, Unauthenticated
from resolvers import sessions
from resolvers.context import Context
from resolvers.sessions import Login
from schema.api_errors import ApiError
from schema.graphql_http import language_of
from schema.settings import Settings

LARGEST_FORM = 16 * 1024
SANDBOX_CLIENTS = (
    ("dashboard", "Dashboard", Role.SERVICE, "dashboard-secret"),
    ("shop", "Cửa hàng mẫu", Role.MERCHANT, "shop-secret"),
)


async def http_context(request: Request) -> Context:
    """
    Return the context of a request. Without a valid token nobody asks, and what needs someone says so:
    a client whose token has expired can still log in.
    """
    base: Context = request.app.state.context
    token = bearer(request.headers.get("authorization", ""))
    language = language_of(request.headers)
    asked = base.asked_by(
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
    return asked.asked_by(
        actor,
        language=language,
        request_id=asked.request_id,
        client_ip=asked.client_ip,
        expires_at=expires_at,
    )


async def socket_context(websocket: WebSocket, payload: dict[str, Any]) -> Context:
    """Return the context of a socket, which needs a valid token at once. Raises ApiError."""
    base: Context = websocket.app.state.context
    given = next((payload[name] for name in payload if name.lower() == "authorization"), "")
    token = bearer(str(given))
    if token is None:
        raise ApiError("UNAUTHENTICATED")
    try:
        actor, expires_at = await sessions.identify(base, token)
    except Unauthenticated:
        raise ApiError("UNAUTHENTICATED") from None
    return base.asked_by(
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
    return context.asked_by(
        context.actor,
        language=context.language,
        request_id=context.request_id,
        client_ip=context.client_ip,
        expires_at=context.expires_at,
    )


def bearer(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def jwks(request: Request) -> Response:
    """The keys by which anyone checks our tokens and receipts."""
    keys = request.app.state.context.keys
    return JSONResponse(
        {"keys": [*keys.tokens.jwks, *keys.receipts.jwks]},
        headers={"cache-control": "public, max-age=300"},
    )


async def token(request: Request) -> Response:
    """OAuth 2.0 (RFC 6749): `client_credentials` for programs, `refresh_token` for all."""
    context = await http_context(request)
    given = await _form(request)
    if given is None or holds_card_number(" ".join(given.values())):
        return _oauth_error(400, "invalid_request", None, context.language)
    client = _basic(request.headers.get("authorization", ""))
    client_id = client[0] if client else given.get("client_id", "")
    secret = client[1] if client else given.get("client_secret", "")
    try:
        match given.get("grant_type"):
            case "client_credentials":
                login = await sessions.client_credentials(
                    context, client_id=client_id, secret=secret
                )
            case "refresh_token":
                login = await sessions.refresh(
                    context, refresh_token=given.get("refresh_token", "")
                )
            case _:
                return _oauth_error(400, "unsupported_grant_type", None, context.language)
    except InvalidCredentials as refused:
        grant = given.get("grant_type") == "refresh_token"
        code = "invalid_grant" if grant else "invalid_client"
        return _oauth_error(400 if grant else 401, code, refused, context.language)
    except TooManyTries:
        return _oauth_error(429, "slow_down", None, context.language)
    except UpstreamUnavailable as refused:
        return _oauth_error(503, "temporarily_unavailable", refused, context.language)
    return JSONResponse(await _granted(context, login), headers={"cache-control": "no-store"})


async def _form(request: Request) -> dict[str, str] | None:
    """Return the fields of a form; None for a body that is none, is too long, or repeats a field."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_FORM:
            return None
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=10)
    except ValueError:
        return None
    given = dict(pairs)
    printable = all(value.isprintable() for value in given.values())
    return given if printable and len(given) == len(pairs) else None


async def _granted(context: Context, login: Login) -> dict[str, object]:
    left = login.expires_at - await context.clock()
    granted: dict[str, object] = {
        "access_token": login.access_token,
        "token_type": "Bearer",
        "expires_in": max(0, int(left.total_seconds())),
    }
    if login.refresh_token is not None:
        granted["refresh_token"] = login.refresh_token
    return granted


async def known_clients(context: Context, settings: Settings) -> None:
    """Make the sandbox's programs known in development; production registers its own, and refuses them."""
    for client_id, name, role, secret in SANDBOX_CLIENTS:
        if settings.env == "development":
            await sessions.learn_api_client(
                context, client_id=client_id, name=name, role=role, secret=secret
            )
        else:
            await sessions.disown_api_client(context, client_id=client_id, secret=secret)


def _oauth_error(status: int, code: str, refused: Refusal | None, language: Language) -> Response:
    body = {"error": code}
    if refused is not None:
        body["error_description"] = refused.say(language)
    return JSONResponse(body, status, headers={"cache-control": "no-store"})


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return None
    return client_id, secret


def _request_id(headers: Headers) -> str:
    """Return the caller's request id where it is a plain short one, else one of ours: it is kept."""
    given = headers.get("x-request-id", "")
    plain = 0 < len(given) <= 64 and given.isascii() and given.replace("-", "").isalnum()
    return given if plain and not holds_card_number(given) else uuid.uuid4().hex
