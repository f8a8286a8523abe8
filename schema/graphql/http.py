"""GraphQL over HTTP, by the current specification: bytes in, bytes out, both media types."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, cast

import orjson
import strawberry
from graphql import (
    OperationType,
)
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from schema.authorization import bearer_challenge
from schema.graphql.engine import Answer, C, Engine
from schema.graphql.errors import FormatError, Language, format_error, malformed
from schema.graphql.graphiql import GRAPHIQL
from schema.graphql.query_limits import Limits
from schema.graphql.request import GraphQLRequest, the_query

JSON: Final = "application/json"
GRAPHQL: Final = "application/graphql-response+json"
LARGEST_BODY: Final = 256 * 1024
_DOCUMENT_PARAMETERS: Final = ("query", "documentId", "extensions")


@dataclass(frozen=True, slots=True)
class Stranger:
    """Who asks, before the context is made."""

    language: Language


def language_of(headers: Headers) -> Language:
    """Vietnamese, unless `Accept-Language` prefers English."""
    for name in _preferred(headers.get("accept-language", "")):
        if name[:2] in ("vi", "en"):
            return cast("Language", name[:2])
    return "vi"


class GraphQLEndpoint(Generic[C]):
    """The ASGI application at `/graphql`: `Route("/graphql", GraphQLEndpoint(…))`."""

    def __init__(
        self,
        schema: strawberry.Schema,
        context_factory: Callable[[Request], Awaitable[C]],
        *,
        limits: Limits | None = None,
        introspection: bool = False,
        graphiql: bool = False,
        format_error: FormatError = format_error,
        find_document: Callable[[GraphQLRequest, C], str] = the_query,
    ) -> None:
        self.engine: Engine[C] = Engine(
            schema,
            limits=limits,
            introspection=introspection,
            format_error=format_error,
            find_document=find_document,
        )
        self.context_factory = context_factory
        self.graphiql = graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self.respond(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        accept = request.headers.get("accept") or "*/*"
        if self.graphiql and _wants_page(request, accept):
            return HTMLResponse(GRAPHIQL)
        media = _media(accept)
        answer, allow = await self._answer(request, media)
        status = answer.status if answer.insists or media == GRAPHQL else 200
        headers = {"content-type": f"{media or JSON}; charset=utf-8", "cache-control": "no-store"}
        if status == 401:
            headers["www-authenticate"] = bearer_challenge(request.headers.get("authorization", ""))
        if status == 405:
            headers["allow"] = allow
        return Response(answer.body, status, headers)

    async def _answer(self, request: Request, media: str | None) -> tuple[Answer, str]:
        who: C | Stranger = Stranger(language_of(request.headers))
        allow = "GET, POST"
        try:
            if media is None:
                raise malformed(
                    "Máy chủ không trả về định dạng được yêu cầu.",
                    f"We answer {GRAPHQL} or {JSON}.",
                    406,
                )
            asked = await _read(request)
            who = context = await self.context_factory(request)
            operation = self.engine.operation(asked, context)
            if operation.type is OperationType.SUBSCRIPTION:
                raise malformed(
                    "Subscription chỉ chạy qua WebSocket.", "Subscriptions run over WebSocket only."
                )
            if operation.type is OperationType.MUTATION and request.method == "GET":
                allow = "POST"
                raise malformed(
                    "Mutation phải gửi bằng POST.", "Mutations must be sent by POST.", 405
                )
            return Answer(body=await self.engine.execute(operation, context)), allow
        except ClientDisconnect:
            raise
        except Exception as error:
            return self.engine.refuse(who, error), allow


def _wants_page(request: Request, accept: str) -> bool:
    names_a_document = any(request.query_params.get(name) for name in _DOCUMENT_PARAMETERS)
    return request.method == "GET" and not names_a_document and "text/html" in accept


async def _read(request: Request) -> GraphQLRequest:
    if request.method == "GET":
        given: dict[str, object] = dict(request.query_params)
        for name in ("variables", "extensions"):
            if given.get(name):
                given[name] = _json(str(given[name]))
        return GraphQLRequest.read(given)
    if request.method != "POST":
        raise malformed("Chỉ hỗ trợ GET và POST.", "Only GET and POST are supported.", 405)
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip().strip('"') or "utf-8"
    if kind.strip() != JSON or charset not in ("utf-8", "utf8"):
        raise malformed("Nội dung phải là application/json.", f"The body must be {JSON}.", 415)
    return GraphQLRequest.read(_json(await _body(request)))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise malformed("Nội dung quá lớn.", f"The body exceeds {LARGEST_BODY} bytes.", 413)
    return bytes(body)


def _json(text: str | bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise malformed("Nội dung không phải JSON hợp lệ.", "The body is no valid JSON.") from None


def _media(accept: str) -> str | None:
    for name in _preferred(accept):
        if name in (JSON, GRAPHQL):
            return name
        if name in ("*/*", "application/*"):
            return JSON
    return None


def _preferred(header: str) -> list[str]:
    """A header's choices, the most wanted first."""
    weighed: list[tuple[float, str]] = []
    for choice in header.lower().split(","):
        name, *parameters = (part.strip() for part in choice.split(";"))
        weight = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        try:
            weighed.append((float(weight), name))
        except ValueError:
            continue
    return [name for weight, name in sorted(weighed, key=lambda w: -w[0]) if weight > 0]
