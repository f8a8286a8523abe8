"""
The GraphQL engine behind HTTP and WebSocket.

graphql-core executes a prepared document (documents.py) with Strawberry's executor, once it has its
place (admission.py). A mutation that has begun is finished even when its client leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Generic, TypeVar, cast

import graphql.execution
import orjson
import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
)
from strawberry.execution import optimized_is_awaitable

from schema.graphql.admission import Lane, LaneSize, Overloaded
from schema.graphql.card_numbers import check_no_card_number
from schema.graphql.documents import Documents, PreparedDocument
from schema.graphql.errors import (
    STATUSES,
    ApiError,
    FormatError,
    RequestError,
    RequestInfo,
    format_error,
    malformed,
)
from schema.graphql.query_limits import Limits
from schema.graphql.request import GraphQLRequest, document_of

_core: Any = graphql.execution  # its executors have incomplete type parameters

C = TypeVar("C", bound=RequestInfo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """The operation that a request runs, with its variables."""

    prepared: PreparedDocument
    node: OperationDefinitionNode
    variables: dict[str, Any] | None

    @property
    def name(self) -> str | None:
        return self.node.name.value if self.node.name else None

    @property
    def type(self) -> OperationType:
        return self.node.operation

    @property
    def root_names(self) -> frozenset[str]:
        return self.prepared.root_names[self.name]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphQLResponse:
    """A response's body and status."""

    body: bytes
    status: int = 200
    status_in_json: bool = False
    """Whether `application/json` uses the status too; otherwise it is 200 there."""
    retry_after: str | None = None
    """The value of the header `Retry-After`."""


class Engine(Generic[C]):
    """Prepares documents and runs their operations."""

    def __init__(
        self,
        schema: strawberry.Schema,
        *,
        limits: Limits | None = None,
        introspection: bool = False,
        format_error: FormatError = format_error,
        find_document: Callable[[GraphQLRequest, C], str] = document_of,
        lane_of: Callable[[Operation], Lane] | None = None,
        documents: int = 1_000,
        tokens: int = 100_000,
    ) -> None:
        """*lane_of* returns the lane in which an operation waits to run; None: nothing waits."""
        if schema.get_extensions():
            raise TypeError("this engine does not run Strawberry's extensions")
        self.limits = limits or Limits()
        self.documents = Documents(
            schema._schema,  # pyright: ignore[reportPrivateUsage]
            self.limits,
            introspection=introspection,
            documents=documents,
            tokens=tokens,
        )
        self._schema = schema._schema  # pyright: ignore[reportPrivateUsage]
        self._executor = cast("Any", schema).execution_context_class
        self._format_error = format_error
        self._find_document = find_document
        unbounded = Lane("unbounded", LaneSize(places=1_000_000, line=0))
        self._lane_of: Callable[[Operation], Lane] = lane_of or (lambda _operation: unbounded)
        self._finishing: set[asyncio.Task[bytes]] = set()

    def operation(self, request: GraphQLRequest, context: C) -> Operation:
        """Return the operation of a request. Raises RequestError or ApiError."""
        check_no_card_number(
            [request.variables, request.operation_name, request.extensions, request.document_id]
        )
        prepared = self.documents.prepare(self._find_document(request, context))
        operations = prepared.operations
        if request.operation_name is None and len(operations) > 1:
            raise malformed(
                "Văn bản có nhiều thao tác: cần `operationName`.",
                "The document has several operations: `operationName` is needed.",
            )
        name = request.operation_name or next(iter(operations), None)
        if name not in operations:
            raise malformed(
                "Không có thao tác nào mang tên này.", "The document has no operation of this name."
            )
        node, measured = operations[name]
        if node.operation is OperationType.MUTATION and measured.root_fields > 1:
            raise ApiError(
                "BAD_USER_INPUT",
                vi="Mỗi mutation chỉ được gọi một trường gốc.",
                en="A mutation may have one root field.",
            )
        if excesses := measured.page_excesses(request.variables or {}, self.limits):
            raise ApiError("QUERY_TOO_EXPENSIVE", details=excesses)
        return Operation(prepared=prepared, node=node, variables=request.variables)

    async def execute(self, operation: Operation, context: C) -> bytes:
        """
        Run a query or a mutation, and return the response's body.

        A mutation runs to its end even when the caller is cancelled. Raises Overloaded, and
        RequestError when nothing ran, as for a variable of the wrong type.
        """
        lane = self._lane_of(operation)
        await lane.enter()
        if operation.type is not OperationType.MUTATION:
            try:
                return await self._execute(operation, context)
            finally:
                lane.leave()
        task = asyncio.create_task(self._execute(operation, context))
        task.add_done_callback(lambda _: lane.leave())
        self._finishing.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def drain(self) -> None:
        """Return once every mutation that has begun is finished."""
        while self._finishing:
            await asyncio.wait(self._finishing)

    def _finished(self, task: asyncio.Task[bytes]) -> None:
        self._finishing.discard(task)
        if not task.cancelled():
            task.exception()  # retrieved here, because its caller may have left

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
        if (
            result.data is None
            and result.errors
            and all(error.path is None for error in result.errors)
        ):
            raise RequestError(*result.errors)
        return self._payload(result, context)

    async def subscribe(
        self, operation: Operation, context: C, renew: Callable[[C], C] = lambda context: context
    ) -> AsyncGenerator[bytes, None]:
        """
        Yield the payloads of a subscription. Raises RequestError or Overloaded if it cannot begin.

        It waits in line like a query, and holds no place while it runs. *renew* returns each
        event's context, without the data that the last event loaded.
        """
        async with self._lane_of(operation).place():
            pass
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
            raise RequestError(*cast("list[GraphQLError]", executor))
        source = _core.create_source_event_stream(executor)
        source = await source if isawaitable(source) else source
        if isinstance(source, ExecutionResult):
            raise RequestError(*(source.errors or ()))

        def execute_event(event: Any) -> Any:
            event.context_value = renew(context)
            return _core.execute_subscription_event(event)

        events = _core.map_source_to_response_event(executor, source, execute_event)
        async with aclosing(events) as results:
            async for result in results:
                yield self._payload(result, context)

    def _payload(self, result: ExecutionResult, context: RequestInfo) -> bytes:
        body: dict[str, Any] = {"data": result.data}
        if result.errors:
            body["errors"] = [self._format_error(error, context) for error in result.errors]
        return orjson.dumps(body | _extensions(context))

    def error_response(self, context: RequestInfo, error: Exception) -> GraphQLResponse:
        """Return the response to a request of which nothing ran."""
        formatted = self.format_errors(context, error)
        first = error.errors[0] if isinstance(error, RequestError) else error
        own_status = first.status if isinstance(first, ApiError) else None
        status = own_status or STATUSES.get(formatted[0]["extensions"]["code"], 400)
        return GraphQLResponse(
            body=orjson.dumps({"errors": formatted} | _extensions(context)),
            status=status,
            status_in_json=own_status is not None or status >= 500,
            retry_after=first.retry_after if isinstance(first, Overloaded) else None,
        )

    def format_errors(self, context: RequestInfo, error: Exception) -> list[dict[str, Any]]:
        """Return an exception as the client sees it."""
        if isinstance(error, RequestError):
            errors = error.errors
        elif isinstance(error, GraphQLError):
            errors = (error,)
        else:
            errors = (GraphQLError(str(error), original_error=error),)
        return [self._format_error(error, context) for error in errors]


def _extensions(context: RequestInfo) -> dict[str, Any]:
    return {"extensions": {"requestId": context.request_id}} if context.request_id else {}
