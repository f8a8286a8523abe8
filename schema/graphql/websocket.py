"""
GraphQL over WebSocket, by the protocol `graphql-transport-ws` only.

Each socket is a `_Connection`: a loop that reads frames, and a task for each operation. Its single
deadline is first the login's, then the token's end, or the server's shutdown. Operations run in
the same engine and under the same rules as over HTTP. A client that does not read pauses its
generators; when it leaves, their `finally` blocks run at once.

Clients reconnect after the codes 1012, 1013, 4403 and 4408. They give up after 4400, 4401, 4406,
4409, 4429, 4500 and 1009. Our own limits are temporary: they close with 1013 or fail one operation.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Hashable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Generic, Protocol, TypeVar, cast

import orjson
import structlog
from graphql import OperationType
from prometheus_client import Gauge
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketDisconnected

from schema.graphql.engine import Engine
from schema.graphql.errors import ApiError, RequestInfo
from schema.graphql.http import MAX_BODY_BYTES
from schema.graphql.request import GraphQLRequest, is_absent

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PROTOCOL: Final = "graphql-transport-ws"
CLOSE_TIMEOUT_SECONDS: Final = 5.0
"""The time in which a client must read the close frame."""
TRY_AGAIN_LATER: Final = 1013
TEMPORARY_CODES: Final = frozenset({"RATE_LIMITED", "OVERLOADED", "UPSTREAM_UNAVAILABLE"})
"""The error codes after which a later login may succeed."""

CONNECTIONS: Final = Gauge("mobinet_websocket_connections", "Open GraphQL WebSockets")
OPERATIONS: Final = Gauge("mobinet_websocket_operations", "Operations running over WebSocket")


class SocketContext(RequestInfo, Protocol):
    """The part of a context that a socket needs."""

    @property
    def expires_at(self) -> datetime | None:
        """The end of the token, and of the socket."""
        ...

    @property
    def actor_id(self) -> Hashable | None:
        """The actor whose connections are limited; None: no limit."""
        ...


C = TypeVar("C", bound=SocketContext)


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketLimits:
    init_seconds: float = 10
    operations_per_connection: int = 50
    connections_per_actor: int = 20
    connections: int = 10_000
    """The connections of this process."""


class Close(Exception):
    """Closes a connection with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:123].decode(errors="ignore")


class GraphQLSockets(Generic[C]):
    """The ASGI application for `WebSocketRoute("/graphql", GraphQLSockets(…))`."""

    def __init__(
        self,
        engine: Engine[C],
        context_factory: Callable[[WebSocket, dict[str, Any]], Awaitable[C]],
        *,
        limits: SocketLimits | None = None,
        origins: Collection[str] | None = None,
        renew: Callable[[C], C] = lambda context: context,
        session_is_open: Callable[[C], Awaitable[bool]] | None = None,
        temporary_errors: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        """
        Make the application.

        *origins* are the web origins that may connect; None: any. *renew* returns the context of
        an operation or event, without loaded data. *session_is_open* is called before each
        operation; where it returns False the socket closes with 4401. After *temporary_errors* a
        later login may succeed.
        """
        self.engine = engine
        self.context_factory = context_factory
        self.limits = limits or SocketLimits()
        self.origins = None if origins is None else frozenset(origins)
        self.renew = renew
        self.session_is_open = session_is_open
        self.temporary_errors = temporary_errors
        self.connections: set[_Connection[C]] = set()
        self.actors: Counter[Hashable] = Counter()
        self.shutdown: Close | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        origin = websocket.headers.get("origin")
        if self.origins is not None and origin is not None and origin not in self.origins:
            await websocket.close()  # before it is accepted: 403
            return
        connection = _Connection(self, websocket)
        try:
            if PROTOCOL not in scope["subprotocols"]:
                await websocket.accept()
                raise Close(4406, "Subprotocol not acceptable")
            await websocket.accept(PROTOCOL)
            if self.shutdown is not None:
                raise self.shutdown
            if len(self.connections) >= self.limits.connections:
                raise Close(TRY_AGAIN_LATER, "Try again later")
            self.connections.add(connection)
            CONNECTIONS.inc()
            try:
                await connection.run()
            finally:
                await connection.end()
                self.connections.discard(connection)
                CONNECTIONS.dec()
        except Close as close:
            await _close(websocket, close)
        except (WebSocketDisconnect, WebSocketDisconnected):
            pass

    async def close(self, code: int = 1012, reason: str = "Service restart") -> None:
        """Close every connection, later ones too; return once their tasks have ended."""
        self.shutdown = Close(code, reason)
        closing = list(self.connections)
        for connection in closing:
            connection.close_in(0, self.shutdown)
        for connection in closing:
            await connection.ended.wait()


class _Connection(Generic[C]):
    def __init__(self, sockets: GraphQLSockets[C], websocket: WebSocket) -> None:
        self.sockets = sockets
        self.websocket = websocket
        self.context: C | None = None
        self.initialised = False
        self.actor: Hashable | None = None
        self.operations: dict[str, asyncio.Task[None]] = {}
        self.ended = asyncio.Event()
        self.deadline = asyncio.timeout(sockets.limits.init_seconds)
        self.deadline_close = Close(4408, "Connection initialisation timeout")

    async def run(self) -> None:
        """Handle frames until the client leaves. Raises Close when the server closes."""
        try:
            async with self.deadline:
                while (message := await self.websocket.receive())["type"] != "websocket.disconnect":
                    await self.handle(_frame(message))
        except TimeoutError:
            if self.deadline.expired():
                raise self.deadline_close from None
            raise

    async def end(self) -> None:
        """Cancel every operation, and wait until all have ended."""
        running = list(self.operations.values())
        self.operations.clear()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        if self.actor is not None:
            self.sockets.actors[self.actor] -= 1
            if not self.sockets.actors[self.actor]:
                del self.sockets.actors[self.actor]
        self.ended.set()

    def close_in(self, seconds: float | None, close: Close) -> None:
        """Close the connection after some seconds, None: never; no effect once it is ending."""
        self.deadline_close = close
        when = None if seconds is None else asyncio.get_running_loop().time() + seconds
        with suppress(RuntimeError):
            self.deadline.reschedule(when)

    async def handle(self, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case "connection_init":
                await self.initialise(frame.get("payload"))
            case "ping":
                await self.send(b'{"type":"pong"}')
            case "pong":
                pass
            case "subscribe":
                await self.start_operation(frame.get("id"), frame.get("payload"))
            case "complete":
                if task := self.operations.pop(_id(frame.get("id")), None):
                    task.cancel()
            case _:
                raise Close(4400, "Unknown message type")

    async def initialise(self, payload: object) -> None:
        if self.initialised:
            raise Close(4429, "Too many initialisation requests")
        self.initialised = True
        if is_absent(payload):
            payload = {}
        if not isinstance(payload, dict):
            raise Close(4400, "Invalid connection init payload")
        context = await self.authenticate(cast("dict[str, Any]", payload))
        actor = context.actor_id
        if actor is not None:
            if self.sockets.actors[actor] >= self.sockets.limits.connections_per_actor:
                raise Close(TRY_AGAIN_LATER, "Too many connections")
            self.sockets.actors[actor] += 1
            self.actor = actor
        self.context = context
        await self.send(b'{"type":"connection_ack"}')
        if self.sockets.shutdown is None:
            end = context.expires_at
            seconds = None if end is None else (end - datetime.now(UTC)).total_seconds()
            self.close_in(seconds, Close(4401, "Token expired"))

    async def authenticate(self, payload: dict[str, Any]) -> C:
        try:
            return await self.sockets.context_factory(self.websocket, payload)
        except ApiError as error:
            if error.code in TEMPORARY_CODES:
                raise Close(TRY_AGAIN_LATER, error.en) from None
            raise Close(4403, "Forbidden") from None
        except Exception as error:
            log.exception("socket_login_failed")
            if isinstance(error, self.sockets.temporary_errors):
                raise Close(TRY_AGAIN_LATER, "Try again later") from None
            raise Close(4500, "Internal server error") from None

    async def start_operation(self, id_: object, payload: object) -> None:
        if self.context is None:
            raise Close(4401, "Unauthorized")
        name = _id(id_)
        if name in self.operations:
            raise Close(4409, f"Subscriber for {name} already exists")
        try:
            request = GraphQLRequest.read(payload)
        except ApiError as error:
            raise Close(4400, error.en) from None
        if len(self.operations) >= self.sockets.limits.operations_per_connection:
            error = self.too_many_operations()
            await self.send(self.error_frame(name, self.context, error))
            return
        task = asyncio.create_task(self.run_operation(name, request, self.context))
        self.operations[name] = task

    async def run_operation(self, name: str, request: GraphQLRequest, context: C) -> None:
        """Run an operation, and send its payloads and then `complete` or `error`."""
        OPERATIONS.inc()
        id_ = orjson.dumps(name)
        last_frame = b'{"id":%b,"type":"complete"}' % id_
        try:
            try:
                context = self.sockets.renew(context)
                is_open = self.sockets.session_is_open
                if is_open is not None and not await is_open(context):
                    self.close_in(0, Close(4401, "Session ended"))
                    return
                async with aclosing(self.payloads(request, context)) as payloads:
                    async for payload in payloads:
                        await self.send(b'{"id":%b,"type":"next","payload":%b}' % (id_, payload))
            except (WebSocketDisconnect, WebSocketDisconnected):
                return
            except Exception as error:
                last_frame = self.error_frame(name, context, error)
            if self.operations.get(name) is asyncio.current_task():
                del self.operations[name]  # before the client may use the id again
                await self.send(last_frame)
        except (WebSocketDisconnect, WebSocketDisconnected):
            pass
        finally:
            OPERATIONS.dec()

    def error_frame(self, name: str, context: C, error: Exception) -> bytes:
        """Return the frame that ends an operation with an error."""
        errors = orjson.dumps(self.sockets.engine.format_errors(context, error))
        return b'{"id":%b,"type":"error","payload":%b}' % (orjson.dumps(name), errors)

    def too_many_operations(self) -> ApiError:
        allowed = self.sockets.limits.operations_per_connection
        return ApiError(
            "RATE_LIMITED",
            vi=f"Kết nối này đang chạy {allowed} thao tác, mức tối đa."
            " Hãy kết thúc bớt rồi thử lại.",
            en=f"This connection runs {allowed} operations, the most there may be. End some first.",
            details={"allowed": allowed},
        )

    async def payloads(self, request: GraphQLRequest, context: C) -> AsyncGenerator[bytes, None]:
        engine = self.sockets.engine
        operation = engine.operation(request, context)
        if operation.type is OperationType.SUBSCRIPTION:
            async with aclosing(engine.subscribe(operation, context, self.sockets.renew)) as events:
                async for event in events:
                    yield event
        else:
            yield await engine.execute(operation, context)

    async def send(self, frame: bytes) -> None:
        await self.websocket.send({"type": "websocket.send", "text": frame.decode()})


def _frame(message: Message) -> dict[str, Any]:
    text = message.get("text")
    if text is None:
        raise Close(4400, "Messages must be text")
    if len(text) > MAX_BODY_BYTES:
        raise Close(1009, f"Messages may have {MAX_BODY_BYTES} bytes")
    try:
        frame: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Close(4400, "Messages must be valid JSON") from None
    if not isinstance(frame, dict):
        raise Close(4400, "Messages must be JSON objects")
    return cast("dict[str, Any]", frame)


def _id(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise Close(4400, "`id` must be a string that is not empty")
    return value


async def _close(websocket: WebSocket, close: Close) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_SECONDS):
            await websocket.close(close.code, close.reason)
    except (TimeoutError, WebSocketDisconnect, WebSocketDisconnected):
        pass
