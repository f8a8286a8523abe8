"""GraphQL over HTTP (the GraphQL-over-HTTP specification), in both of its media types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, cast

import orjson
import strawberry
from graphql import OperationType
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from schema.authorization import bearer_challenge
from schema.graphql.admission import Lane
from schema.graphql.engine import C, Engine, GraphQLResponse, Operation
from schema.graphql.errors import FormatError, Language, RequestInfo, format_error, malformed
from schema.graphql.graphiql import GRAPHIQL
from schema.graphql.query_limits import Limits
from schema.graphql.request import GraphQLRequest, document_of, is_absent
from schema.graphql.request_ids import request_id_of

JSON: Final = "application/json"
GRAPHQL: Final = "application/graphql-response+json"
MAX_BODY_BYTES: Final = 256 * 1024
_DOCUMENT_PARAMETERS: Final = ("query", "documentId", "extensions")


@dataclass(frozen=True, slots=True)
class Anonymous:
    """What is known of a request that has no context yet."""

    language: Language
    request_id: str


def language_of(headers: Headers) -> Language:
    """Return the language of `Accept-Language`; Vietnamese unless it prefers English."""
    for name in _preferred(headers.get("accept-language", "")):
        if name[:2] in ("vi", "en"):
            return cast("Language", name[:2])
    return "vi"


class GraphQLEndpoint(Generic[C]):
    """The ASGI application at `/graphql`, for `Route("/graphql", GraphQLEndpoint(…))`."""

    def __init__(
        self,
        schema: strawberry.Schema,
        context_factory: Callable[[Request], Awaitable[C]],
        *,
        limits: Limits | None = None,
        introspection: bool = False,
        graphiql: bool = False,
        format_error: FormatError = format_error,
        find_document: Callable[[GraphQLRequest, C], str] = document_of,
        lane_of: Callable[[Operation], Lane] | None = None,
    ) -> None:
        self.engine: Engine[C] = Engine(
            schema,
            limits=limits,
            introspection=introspection,
            format_error=format_error,
            find_document=find_document,
            lane_of=lane_of,
        )
        self.context_factory = context_factory
        self.graphiql = graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._respond(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        accept = request.headers.get("accept") or "*/*"
        if self.graphiql and _wants_page(request, accept):
            return HTMLResponse(GRAPHIQL)
        media_type = _media_type(accept)
        response, allow = await self._run(request, media_type)
        status = response.status if response.status_in_json or media_type == GRAPHQL else 200
        headers = {
            "content-type": f"{media_type or JSON}; charset=utf-8",
            "cache-control": "no-store",
        }
        if status == 401:
            headers["www-authenticate"] = bearer_challenge(request.headers.get("authorization", ""))
        if status == 405:
            headers["allow"] = allow
        if response.retry_after is not None:
            headers["retry-after"] = response.retry_after
        return Response(response.body, status, headers)

    async def _run(self, request: Request, media_type: str | None) -> tuple[GraphQLResponse, str]:
        """Run the request; return the response and, for a 405, the allowed methods."""
        reader: RequestInfo = Anonymous(language_of(request.headers), request_id_of(request.scope))
        allow = "GET, POST"
        try:
            if media_type is None:
                raise malformed(
                    "Máy chủ không trả về định dạng được yêu cầu.",
                    f"We answer {GRAPHQL} or {JSON}.",
                    406,
                )
            graphql_request = await _read(request)
            reader = context = await self.context_factory(request)
            operation = self.engine.operation(graphql_request, context)
            if operation.type is OperationType.SUBSCRIPTION:
                raise malformed(
                    "Subscription chỉ chạy qua WebSocket.", "Subscriptions run over WebSocket only."
                )
            if operation.type is OperationType.MUTATION and request.method == "GET":
                allow = "POST"
                raise malformed(
                    "Mutation phải gửi bằng POST.", "Mutations must be sent by POST.", 405
                )
            body = await self.engine.execute(operation, context)
            return GraphQLResponse(body=body), allow
        except ClientDisconnect:
            raise
        except Exception as error:
            return self.engine.error_response(reader, error), allow


def _wants_page(request: Request, accept: str) -> bool:
    if request.method != "GET" or "text/html" not in accept:
        return False
    return not any(request.query_params.get(name) for name in _DOCUMENT_PARAMETERS)


async def _read(request: Request) -> GraphQLRequest:
    if request.method == "GET":
        parameters: dict[str, object] = dict(request.query_params)
        for name in ("variables", "extensions"):
            if not is_absent(parameters.get(name)):
                parameters[name] = _json(str(parameters[name]))
        return GraphQLRequest.read(parameters)
    if request.method != "POST":
        raise malformed("Chỉ hỗ trợ GET và POST.", "Only GET and POST are supported.", 405)
    media_type, _, options = request.headers.get("content-type", "").lower().partition(";")
    charset = options.partition("charset=")[2].strip().strip('"') or "utf-8"
    if media_type.strip() != JSON or charset not in ("utf-8", "utf8"):
        raise malformed("Nội dung phải là application/json.", f"The body must be {JSON}.", 415)
    return GraphQLRequest.read(_json(await _body(request)))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise malformed("Nội dung quá lớn.", f"The body exceeds {MAX_BODY_BYTES} bytes.", 413)
    return bytes(body)


def _json(text: str | bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise malformed("Nội dung không phải JSON hợp lệ.", "The body is no valid JSON.") from None


def _media_type(accept: str) -> str | None:
    """Return the media type of the response; None if no supported one is acceptable."""
    for name in _preferred(accept):
        if name in (JSON, GRAPHQL):
            return name
        if name in ("*/*", "application/*"):
            return JSON
    return None


def _preferred(header: str) -> list[str]:
    """Return a header's choices, the most preferred first."""
    weighted: list[tuple[float, str]] = []
    for choice in header.lower().split(","):
        name, *options = (part.strip() for part in choice.split(";"))
        weight = next((option[2:] for option in options if option.startswith("q=")), "1")
        try:
            weighted.append((float(weight), name))
        except ValueError:
            continue
    return [name for weight, name in sorted(weighted, key=lambda pair: -pair[0]) if weight > 0]
