"""One prepared document, one execution: the engine under HTTP and WebSocket alike.

A document is parsed, measured and validated once and kept by its hash, for both transports.
Strawberry's schema is executed by graphql-core with Strawberry's executor; a mutation that has begun
is finished even when its client goes away.
"""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, Generic, TypeVar, cast

import graphql.execution
import orjson
import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import ASTValidationRule, MaxIntrospectionDepthRule
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.graphql.card_numbers import check_no_card_number
from schema.graphql.errors import (
    STATUSES,
    ApiError,
    FormatError,
    Refused,
    Speaks,
    format_error,
    malformed,
)
from schema.graphql.query_limits import Limits, Measure, measure
from schema.graphql.request import GraphQLRequest, the_query

_core: Any = graphql.execution  # whose executors are generic without saying over what

C = TypeVar("C", bound=Speaks)
Refusal = tuple[GraphQLError, ...]


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
        find_document: Callable[[GraphQLRequest, C], str] = the_query,
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

    def operation(self, asked: GraphQLRequest, context: C) -> Operation:
        """Finds what to run; raises `Refused` or `ApiError`."""
        check_no_card_number(
            [asked.variables, asked.operation_name, asked.extensions, asked.document_id]
        )
        prepared = self.prepare(self._find_document(asked, context))
        operations = prepared.operations
        if asked.operation_name is None and len(operations) > 1:
            raise malformed(
                "Văn bản có nhiều thao tác: cần `operationName`.",
                "The document has several operations: `operationName` is needed.",
            )
        name = asked.operation_name or next(iter(operations), None)
        if name not in operations:
            raise malformed(
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
            check_no_card_number(text)
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
