"""OAuth 2.0 (RFC 6749): the grants `client_credentials` and `refresh_token`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from domain.cards import holds_card_number
from domain.refusals import UpstreamUnavailable
from domain.staff import InvalidCredentials, TooManyAttempts
from resolvers import sessions
from resolvers.context import Context
from resolvers.sessions import Login
from schema.authorization import BASIC_CHALLENGE, BadCredentials, basic
from schema.graphql.admission import Lane, Overloaded
from schema.web.identity import http_context

MAX_FORM_BYTES = 16 * 1024
NO_STORE = {"cache-control": "no-store"}
WRONG_CREDENTIALS = "The client id or the client secret is wrong."


class OAuthError(Exception):
    """An error of RFC 6749; *description* is ASCII without quotes, for the client's developer."""

    def __init__(self, status: int, code: str, description: str | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.body = {"error": code}
        if description is not None:
            self.body["error_description"] = description


def endpoint(lane: Lane) -> Callable[[Request], Awaitable[Response]]:
    """Make `POST /oauth/token`, which waits in *lane*."""

    async def token(request: Request) -> Response:
        try:
            async with lane.place():
                return await _token(request)
        except Overloaded as error:
            body = {"error": "temporarily_unavailable", "error_description": error.en}
            headers = NO_STORE | {"retry-after": error.retry_after}
            return JSONResponse(body, 503, headers=headers)

    return token


async def _token(request: Request) -> Response:
    """Return a token, or an error of RFC 6749."""
    context = await http_context(request)
    try:
        form = await _form(request)
        login = await _login(context, form, request.headers.get("authorization", ""))
    except OAuthError as error:
        challenge = {"www-authenticate": BASIC_CHALLENGE} if error.status == 401 else {}
        return JSONResponse(error.body, error.status, headers=NO_STORE | challenge)
    return JSONResponse(await _token_response(context, login), headers=NO_STORE)


async def _login(context: Context, form: dict[str, str], authorization: str) -> Login:
    try:
        client = basic(authorization)
    except BadCredentials:
        raise OAuthError(401, "invalid_client", WRONG_CREDENTIALS) from None
    if holds_card_number(" ".join((*form.values(), *(client or ())))):
        raise OAuthError(400, "invalid_request")
    try:
        match form.get("grant_type"):
            case "client_credentials":
                client_id, secret = client or (
                    form.get("client_id", ""),
                    form.get("client_secret", ""),
                )
                return await sessions.client_credentials(
                    context, client_id=client_id, secret=secret
                )
            case "refresh_token":
                return await sessions.refresh(context, refresh_token=form.get("refresh_token", ""))
            case None:
                raise OAuthError(400, "invalid_request", "The parameter grant_type is missing.")
            case _:
                raise OAuthError(
                    400,
                    "unsupported_grant_type",
                    "The grant_type must be client_credentials or refresh_token.",
                )
    except InvalidCredentials:
        if form.get("grant_type") == "refresh_token":
            description = "The refresh token is wrong, expired or was used before."
            raise OAuthError(400, "invalid_grant", description) from None
        raise OAuthError(401, "invalid_client", WRONG_CREDENTIALS) from None
    except TooManyAttempts:
        description = "Too many wrong tries: the client has to wait a minute."
        raise OAuthError(429, "slow_down", description) from None
    except UpstreamUnavailable:
        description = "A system that this needs does not answer: try again in a few minutes."
        raise OAuthError(503, "temporarily_unavailable", description) from None


async def _form(request: Request) -> dict[str, str]:
    """Return the form's non-empty fields. Raises OAuthError for a malformed form."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/x-www-form-urlencoded":
        raise _bad_form("be application/x-www-form-urlencoded")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise _bad_form(f"have {MAX_FORM_BYTES} bytes at most")
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=10)
    except ValueError:
        raise _bad_form("be UTF-8 and have 10 parameters at most") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise _bad_form("have each parameter once")
    if not all(value.isprintable() for value in form.values()):
        raise _bad_form("hold printable characters only")
    return {name: value for name, value in form.items() if value}


def _bad_form(rule: str) -> OAuthError:
    return OAuthError(400, "invalid_request", f"The body must {rule}.")


async def _token_response(context: Context, login: Login) -> dict[str, object]:
    lifetime = login.expires_at - await context.clock()
    body: dict[str, object] = {
        "access_token": login.access_token,
        "token_type": "Bearer",
        "expires_in": max(0, int(lifetime.total_seconds())),
    }
    if login.refresh_token is not None:
        body["refresh_token"] = login.refresh_token
    return body
