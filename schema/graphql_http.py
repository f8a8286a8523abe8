"""GraphQL over HTTP: bytes in, one prepared document, one execution, bytes out.

A document is parsed, measured and validated once and kept by its hash, for HTTP and WebSocket alike.
Strawberry's schema is executed by graphql-core with Strawberry's executor; a mutation that has begun
is finished even when its client goes away.
"""

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Final, Generic, Literal, Protocol, TypeVar, cast

import graphql.execution
import orjson
import strawberry
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    ValueNode,
    VariableDefinitionNode,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import ASTValidationRule, MaxIntrospectionDepthRule
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.graphiql import GRAPHIQL
from schema.limits_of_a_query import Limits, Measure, measure

_core: Any = graphql.execution  # whose executors are generic without saying over what
log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

JSON: Final = "application/json"
GRAPHQL: Final = "application/graphql-response+json"
LARGEST_BODY: Final = 256 * 1024

Language = Literal["vi", "en"]


class Speaks(Protocol):
    """What every context knows: the language of whoever asks."""

    @property
    def language(self) -> Language: ...


C = TypeVar("C", bound=Speaks)


# What we say no with


TEXTS: Final[Mapping[str, tuple[str, str]]] = {
    "UNAUTHENTICATED": ("Vui lòng đăng nhập.", "Please log in."),
    "FORBIDDEN": ("Bạn không có quyền thực hiện thao tác này.", "You may not do this."),
    "RATE_LIMITED": (
        "Quá nhiều yêu cầu, vui lòng thử lại sau.",
        "Too many requests, try again later.",
    ),
    "BAD_USER_INPUT": ("Yêu cầu không hợp lệ.", "The request is not valid."),
    "NOT_FOUND": ("Không tìm thấy dữ liệu.", "Not found."),
    "UPSTREAM_UNAVAILABLE": (
        "Hệ thống liên quan tạm thời không phản hồi, vui lòng thử lại.",
        "A system we depend on does not answer, try again.",
    ),
    "QUERY_TOO_EXPENSIVE": (
        "Truy vấn yêu cầu quá nhiều dữ liệu.",
        "The query asks for too much.",
    ),
    "PERSISTED_DOCUMENT_REQUIRED": (
        "Chỉ chấp nhận các truy vấn đã đăng ký.",
        "Only registered documents are accepted.",
    ),
    "INTERNAL": (
        "Hệ thống gặp sự cố, vui lòng thử lại.",
        "Something went wrong on our side, try again.",
    ),
}
"""The top-level codes, in Vietnamese and English."""

STATUSES: Final[Mapping[str, int]] = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UPSTREAM_UNAVAILABLE": 503,
}
"""What a refused request answers with in `application/graphql-response+json`; every other code is 400."""


class ApiError(GraphQLError):
    """A top-level error that the client may read; its texts default to those of its code.

    With a `status`, a request refused for it answers so in both media types.
    """

    def __init__(
        self,
        code: str,
        *,
        vi: str | None = None,
        en: str | None = None,
        details: Mapping[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        texts = TEXTS.get(code, TEXTS["INTERNAL"])
        self.code = code
        self.vi = vi or texts[0]
        self.en = en or vi or texts[1]
        self.details = dict(details or {})
        self.status = status
        extensions = {"code": code} | ({"details": self.details} if self.details else {})
        super().__init__(self.en, extensions=extensions)

    def text(self, language: Language) -> str:
        return self.en if language == "en" else self.vi


class Refused(Exception):
    """A request of which nothing was run, with the errors that say why."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(*errors)
        self.errors = errors


FormatError = Callable[[GraphQLError, Speaks], dict[str, Any]]


def format_error(
    error: GraphQLError,
    context: Speaks,
    *,
    translate: Callable[[Exception], ApiError | None] = lambda _: None,
) -> dict[str, Any]:
    """One error as the client sees it. What is no GraphQLError is a fault: logged with an id, and masked.

    `translate` may make an `ApiError` of another floor's exception.
    """
    cause = _innermost(error)
    said = cause if isinstance(cause, ApiError) else translate(cause)
    if said is None and _is_fault(error, cause):
        fault = uuid.uuid4().hex
        log.error("fault", id=fault, path=error.path, exc_info=cause)
        said = ApiError("INTERNAL", details={"id": fault})
    formatted: dict[str, Any] = {**error.formatted}
    if said is None:
        formatted["extensions"] = {"code": "BAD_USER_INPUT", **(error.extensions or {})}
    else:
        formatted |= {"message": said.text(context.language), "extensions": said.extensions}
    return formatted


def _innermost(error: GraphQLError) -> Exception:
    cause: Exception = error
    while isinstance(cause, GraphQLError) and cause.original_error is not None:
        cause = cause.original_error
    return cause


def _is_fault(error: GraphQLError, cause: Exception) -> bool:
    """Whether this is our mistake: no GraphQLError, or graphql-core failing to write a field's value.

    What a scalar raises at a value that the client gave is the client's mistake, whatever its type.
    """
    at = error.nodes[0] if error.nodes else None
    if not isinstance(cause, GraphQLError):
        return error.path is not None or not isinstance(at, VariableDefinitionNode | ValueNode)
    wrote = error.path is not None and isinstance(at, FieldNode)
    return wrote and "code" not in (cause.extensions or {})


Refusal = tuple[GraphQLError, ...]


# One request


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a client sends, over HTTP or in a WebSocket's `subscribe`."""

    query: str | None = None
    operation_name: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None

    @classmethod
    def read(cls, value: object) -> "Asked":
        """Takes decoded JSON; raises `ApiError` for anything but a request of the right types."""
        if isinstance(value, list):
            raise _malformed("Không hỗ trợ gửi gộp nhiều yêu cầu.", "Batching is not supported.")
        if not isinstance(value, dict):
            raise _malformed(
                "Yêu cầu phải là một đối tượng JSON.", "The request must be a JSON object."
            )
        given = cast("dict[str, Any]", value)
        for name, type_ in _PARAMETERS.items():
            if given.get(name) is not None and not isinstance(given[name], type_):
                kind = "a string" if type_ is str else "an object"
                raise _malformed(f"Tham số `{name}` sai kiểu.", f"`{name}` must be {kind}.")
        return cls(
            query=given.get("query"),
            operation_name=given.get("operationName") or None,
            variables=given.get("variables"),
            extensions=given.get("extensions"),
        )


_PARAMETERS: Final[Mapping[str, type]] = {
    "query": str,
    "operationName": str,
    "variables": dict,
    "extensions": dict,
}


def _malformed(vi: str, en: str, status: int = 400) -> ApiError:
    return ApiError("BAD_USER_INPUT", vi=vi, en=en, status=status)


def the_query(asked: Asked, _context: Speaks) -> str:
    """The document of a request: its `query`. Trusted documents put another function in this place."""
    if not asked.query:
        raise _malformed("Thiếu tham số `query`.", "`query` is missing.")
    return asked.query


# Documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A document that may be run: parsed, measured, valid."""

    key: bytes
    document: DocumentNode
    operations: Mapping[str | None, tuple[OperationDefinitionNode, Measure]]
    plans: dict[str | None, Any] = field(default_factory=dict[str | None, Any])
    """Room for what is compiled from an operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What one request wants to have run."""

    prepared: Prepared
    node: OperationDefinitionNode
    variables: dict[str, Any] | None

    @property
    def name(self) -> str | None:
        return self.node.name.value if self.node.name else None

    @property
    def type(self) -> OperationType:
        return self.node.operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A response: its bytes and its status."""

    body: bytes
    status: int = 200
    insists: bool = False
    """The status holds in `application/json` too, where a well-formed request's answer is else 200."""


class Engine(Generic[C]):
    """Prepares documents and runs their operations, for both transports."""

    def __init__(
        self,
        schema: strawberry.Schema,
        *,
        limits: Limits | None = None,
        introspection: bool = False,
        format_error: FormatError = format_error,
        find_document: Callable[[Asked, C], str] = the_query,
        documents: int = 1_000,
        tokens: int = 100_000,
    ) -> None:
        if schema.get_extensions():
            raise TypeError("this engine does not run Strawberry's extensions")
        self.limits = limits or Limits()
        self._schema = schema._schema  # pyright: ignore[reportPrivateUsage]
        self._executor = cast("Any", schema).execution_context_class
        self._rules = _rules(introspection)
        self._format_error = format_error
        self._find_document = find_document
        self._prepared: OrderedDict[bytes, tuple[Prepared | Refusal, int]] = OrderedDict()
        self._room = (documents, tokens)
        self._tokens = 0
        self._finishing: set[asyncio.Task[bytes]] = set()

    def operation(self, asked: Asked, context: C) -> Operation:
        """Finds what to run; raises `Refused` or `ApiError`."""
        prepared = self.prepare(self._find_document(asked, context))
        operations = prepared.operations
        if asked.operation_name is None and len(operations) > 1:
            raise _malformed(
                "Văn bản có nhiều thao tác: cần `operationName`.",
                "The document has several operations: `operationName` is needed.",
            )
        name = asked.operation_name or next(iter(operations), None)
        if name not in operations:
            raise _malformed(
                "Không có thao tác nào mang tên này.", "The document has no operation of this name."
            )
        node, asks = operations[name]
        if node.operation is OperationType.MUTATION and asks.root_fields > 1:
            raise ApiError(
                "BAD_USER_INPUT",
                vi="Mỗi mutation chỉ được gọi một trường gốc.",
                en="A mutation may have one root field.",
            )
        if asks.page_variables and (
            beyond := asks.pages_beyond(asked.variables or {}, self.limits)
        ):
            raise ApiError("QUERY_TOO_EXPENSIVE", details=beyond)
        return Operation(prepared=prepared, node=node, variables=asked.variables)

    def prepare(self, text: str) -> Prepared:
        """Parses, measures and validates a document, once; raises `Refused`."""
        key = hashlib.sha256(text.encode(errors="surrogatepass")).digest()
        if (kept := self._prepared.get(key)) is not None:
            self._prepared.move_to_end(key)
            found = kept[0]
        else:
            try:
                found = self._prepare(key, text)
                weight = found.document.token_count
            except Refused as refused:
                found, weight = refused.errors, 10 + len(text) // 4
            self._keep(key, found, weight)
        if not isinstance(found, Prepared):
            raise Refused(*found)
        return found

    def _keep(self, key: bytes, found: Prepared | Refusal, weight: int) -> None:
        documents, tokens = self._room
        self._prepared[key] = (found, weight)
        self._tokens += weight
        while len(self._prepared) > documents or self._tokens > tokens:
            self._tokens -= self._prepared.popitem(last=False)[1][1]

    def _prepare(self, key: bytes, text: str) -> Prepared:
        limits = self.limits
        try:
            document = parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.comments)
            operations = measure(self._schema, document, limits)
        except GraphQLError as error:
            raise Refused(_parse_error(error, limits)) from None
        except RecursionError:
            raise Refused(ApiError("QUERY_TOO_EXPENSIVE")) from None
        for _, asks in operations:
            if beyond := asks.beyond(limits):
                raise Refused(ApiError("QUERY_TOO_EXPENSIVE", details=beyond))
        if errors := validate(self._schema, document, self._rules, max_errors=20):
            raise Refused(*errors)
        by_name = {
            node.name.value if node.name else None: (node, asks) for node, asks in operations
        }
        return Prepared(key=key, document=document, operations=by_name)

    async def execute(self, operation: Operation, context: C) -> bytes:
        """Runs a query, or a mutation: that one to its end, even when the caller is cancelled.

        Raises `Refused` when it did not begin, as for a variable of the wrong type.
        """
        if operation.type is not OperationType.MUTATION:
            return await self._execute(operation, context)
        task = asyncio.create_task(self._execute(operation, context))
        self._finishing.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Returns when every mutation that was begun has ended."""
        while self._finishing:
            await asyncio.wait(self._finishing)

    def _finished(self, task: asyncio.Task[bytes]) -> None:
        self._finishing.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of: its caller may have left

    async def _execute(self, operation: Operation, context: C) -> bytes:
        running = _core.execute(
            self._schema,
            operation.prepared.document,
            context_value=context,
            variable_values=operation.variables,
            operation_name=operation.name,
            executor_class=self._executor,
            is_awaitable=optimized_is_awaitable,
            operation_extensions=None,
        )
        result: ExecutionResult = await running if isawaitable(running) else running
        if result.data is None and result.errors and all(e.path is None for e in result.errors):
            raise Refused(*result.errors)
        return self.payload(result, context)

    async def subscribe(
        self, operation: Operation, context: C, fresh: Callable[[C], C] = lambda context: context
    ) -> AsyncGenerator[bytes, None]:
        """The payloads of a subscription; raises `Refused` when it does not begin.

        `fresh` makes each event's context: what was loaded for one event is old at the next.
        """
        executor = self._executor.build(
            self._schema,
            operation.prepared.document,
            context_value=context,
            raw_variable_values=operation.variables,
            operation_name=operation.name,
            is_awaitable=optimized_is_awaitable,
            operation_extensions=None,
        )
        if isinstance(executor, list):
            raise Refused(*cast("list[GraphQLError]", executor))
        source = _core.create_source_event_stream(executor)
        source = await source if isawaitable(source) else source
        if isinstance(source, ExecutionResult):
            raise Refused(*(source.errors or ()))

        def one(event: Any) -> Any:
            event.context_value = fresh(context)
            return _core.execute_subscription_event(event)

        async with aclosing(_core.map_source_to_response_event(executor, source, one)) as results:
            async for result in results:
                yield self.payload(result, context)

    def payload(self, result: ExecutionResult, context: Speaks) -> bytes:
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [self._format_error(error, context) for error in result.errors]
        return orjson.dumps(body)

    def refuse(self, context: Speaks, *errors: Exception) -> Answer:
        """The answer to a request of which nothing was run."""
        said = self.errors(context, *errors)
        first = errors[0].errors[0] if isinstance(errors[0], Refused) else errors[0]
        insisted = first.status if isinstance(first, ApiError) else None
        status = insisted or STATUSES.get(said[0]["extensions"]["code"], 400)
        return Answer(
            body=orjson.dumps({"errors": said}),
            status=status,
            insists=insisted is not None or status >= 500,
        )

    def errors(self, context: Speaks, *errors: Exception) -> list[dict[str, Any]]:
        """Any exceptions as the client sees them."""
        found: list[GraphQLError] = []
        for error in errors:
            if isinstance(error, Refused):
                found += error.errors
            elif isinstance(error, GraphQLError):
                found.append(error)
            else:
                found.append(GraphQLError(str(error), original_error=error))
        return [self._format_error(error, context) for error in found]


def _rules(introspection: bool) -> tuple[type[ASTValidationRule], ...]:
    last = MaxIntrospectionDepthRule if introspection else NoSchemaIntrospectionCustomRule
    return (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule, last)


def _parse_error(error: GraphQLError, limits: Limits) -> GraphQLError:
    error.__traceback__ = None  # kept with the document's hash: not with the parser's frames
    if "Parsing aborted" in error.message:
        allowed = {"tokens": limits.tokens, "comments": limits.comments}
        return ApiError("QUERY_TOO_EXPENSIVE", details={"allowed": allowed})
    return error


# HTTP


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
        find_document: Callable[[Asked, C], str] = the_query,
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
        accept = request.headers.get("accept", "*/*")
        if self.graphiql and _wants_page(request, accept):
            return HTMLResponse(GRAPHIQL)
        media = _media(accept)
        answer, allow = await self._answer(request, media)
        status = answer.status if answer.insists or media == GRAPHQL else 200
        headers = {"content-type": f"{media or JSON}; charset=utf-8", "cache-control": "no-store"}
        if status == 405:
            headers["allow"] = allow
        return Response(answer.body, status, headers)

    async def _answer(self, request: Request, media: str | None) -> tuple[Answer, str]:
        who: C | Stranger = Stranger(language_of(request.headers))
        allow = "GET, POST"
        try:
            if media is None:
                raise _malformed(
                    "Máy chủ không trả về định dạng được yêu cầu.",
                    f"We answer {GRAPHQL} or {JSON}.",
                    406,
                )
            asked = await _read(request)
            who = context = await self.context_factory(request)
            operation = self.engine.operation(asked, context)
            if operation.type is OperationType.SUBSCRIPTION:
                raise _malformed(
                    "Subscription chỉ chạy qua WebSocket.", "Subscriptions run over WebSocket only."
                )
            if operation.type is OperationType.MUTATION and request.method == "GET":
                allow = "POST"
                raise _malformed(
                    "Mutation phải gửi bằng POST.", "Mutations must be sent by POST.", 405
                )
            return Answer(body=await self.engine.execute(operation, context)), allow
        except ClientDisconnect:
            raise
        except Exception as error:
            return self.engine.refuse(who, error), allow


def _wants_page(request: Request, accept: str) -> bool:
    asks_nothing = request.method == "GET" and "query" not in request.query_params
    return asks_nothing and "text/html" in accept


async def _read(request: Request) -> Asked:
    if request.method == "GET":
        given: dict[str, object] = dict(request.query_params)
        for name in ("variables", "extensions"):
            if name in given:
                given[name] = _json(str(given[name]))
        return Asked.read(given)
    if request.method != "POST":
        raise _malformed("Chỉ hỗ trợ GET và POST.", "Only GET and POST are supported.", 405)
    kind, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = parameters.partition("charset=")[2].strip().strip('"') or "utf-8"
    if kind.strip() != JSON or charset not in ("utf-8", "utf8"):
        raise _malformed("Nội dung phải là application/json.", f"The body must be {JSON}.", 415)
    return Asked.read(_json(await _body(request)))


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            raise _malformed("Nội dung quá lớn.", f"The body exceeds {LARGEST_BODY} bytes.", 413)
    return bytes(body)


def _json(text: str | bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise _malformed("Nội dung không phải JSON hợp lệ.", "This is no valid JSON.") from None


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
