"""GraphQL over WebSocket: the protocol `graphql-transport-ws`, and nothing else.

One socket is one `_Connection`: a loop that reads frames, and a task for each operation. One deadline
wakes it: the login's at first, then the token's end, or the server's farewell. Operations run in
the same engine, under the same rules, as over HTTP. A client that does not read pauses its
generators; when it leaves, their `finally` runs at once.

Clients reconnect after 1012, 1013, 4403 and 4408, and give up after 4400, 4401, 4406, 4409, 4429, 4500
and 1009. So a limit of ours, which is temporary, closes by 1013 or fails one operation.
"""

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
from schema.graphql.errors import ApiError, Speaks
from schema.graphql.http import LARGEST_BODY
from schema.graphql.request import GraphQLRequest

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PROTOCOL: Final = "graphql-transport-ws"
FAREWELL_SECONDS: Final = 5.0
"""How long a client that does not read may keep a closing socket."""
TRY_AGAIN_LATER: Final = 1013
TEMPORARY: Final = frozenset({"RATE_LIMITED", "OVERLOADED", "UPSTREAM_UNAVAILABLE"})
"""The codes of a refused login that may be accepted later."""

CONNECTIONS: Final = Gauge("mobinet_websocket_connections", "Open GraphQL WebSockets")
OPERATIONS: Final = Gauge("mobinet_websocket_operations", "Operations running over WebSocket")


class Connected(Speaks, Protocol):
    """What a socket's context knows."""

    @property
    def expires_at(self) -> datetime | None:
        """When the token ends, and the socket with it."""
        ...

    @property
    def actor_id(self) -> Hashable | None:
        """Whose connections are counted together; None: nobody's."""
        ...


C = TypeVar("C", bound=Connected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much of it there may be."""

    init_seconds: float = 10
    operations_per_connection: int = 50
    connections_per_actor: int = 20
    connections: int = 10_000
    """In this process."""


class Close(Exception):
    """Ends a connection with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:123].decode(errors="ignore")


class GraphQLSockets(Generic[C]):
    """The ASGI application at `WS /graphql`: `WebSocketRoute("/graphql", GraphQLSockets(…))`."""

    def __init__(
        self,
        engine: Engine[C],
        context_factory: Callable[[WebSocket, dict[str, Any]], Awaitable[C]],
        *,
        caps: Caps | None = None,
        origins: Collection[str] | None = None,
        fresh: Callable[[C], C] = lambda context: context,
        admit: Callable[[C], Awaitable[bool]] | None = None,
        passing: tuple[type[Exception], ...] = (OSError,),
    ) -> None:
        """`origins`: the pages that may connect; None: any. `fresh` makes the context of an operation,
        and of each event, of its connection's: what is loaded once must not live as long as a socket.
        `admit` says before each operation whether who asks still may; else the socket closes with 4401.
        `passing`: the faults after which a later login may succeed.
        """
        self.engine = engine
        self.context_factory = context_factory
        self.caps = caps or Caps()
        self.origins = None if origins is None else frozenset(origins)
        self.fresh = fresh
        self.admit = admit
        self.passing = passing
        self.connections: set[_Connection[C]] = set()
        self.actors: Counter[Hashable] = Counter()
        self.farewell: Close | None = None

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
            if self.farewell is not None:
                raise self.farewell
            if len(self.connections) >= self.caps.connections:
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
        """Says goodbye to every client, to later ones too; returns when all their tasks have ended."""
        self.farewell = Close(code, reason)
        closing = list(self.connections)
        for connection in closing:
            connection.wake_at(0, self.farewell)
        for connection in closing:
            await connection.ended.wait()


class _Connection(Generic[C]):
    def __init__(self, sockets: GraphQLSockets[C], websocket: WebSocket) -> None:
        self.sockets = sockets
        self.websocket = websocket
        self.context: C | None = None
        self.greeted = False
        self.actor: Hashable | None = None
        self.operations: dict[str, asyncio.Task[None]] = {}
        self.ended = asyncio.Event()
        self.deadline = asyncio.timeout(sockets.caps.init_seconds)
        self.at_deadline = Close(4408, "Connection initialisation timeout")

    async def run(self) -> None:
        """Reads frames until the client leaves; raises `Close` when it is we who end it."""
        try:
            async with self.deadline:
                while (message := await self.websocket.receive())["type"] != "websocket.disconnect":
                    await self.take(_frame(message))
        except TimeoutError:
            if self.deadline.expired():
                raise self.at_deadline from None
            raise

    async def end(self) -> None:
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

    def wake_at(self, seconds: float | None, close: Close | None = None) -> None:
        """Moves the deadline, and what is said at it; too late for a connection that is ending."""
        self.at_deadline = close or self.at_deadline
        when = None if seconds is None else asyncio.get_running_loop().time() + seconds
        with suppress(RuntimeError):
            self.deadline.reschedule(when)

    async def take(self, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case "connection_init":
                await self.greet(frame.get("payload"))
            case "ping":
                await self.send(b'{"type":"pong"}')
            case "pong":
                pass
            case "subscribe":
                await self.begin(frame.get("id"), frame.get("payload"))
            case "complete":
                if task := self.operations.pop(_id(frame.get("id")), None):
                    task.cancel()
            case _:
                raise Close(4400, "Unknown message type")

    async def greet(self, payload: object) -> None:
        if self.greeted:
            raise Close(4429, "Too many initialisation requests")
        self.greeted = True
        if payload is not None and not isinstance(payload, dict):
            raise Close(4400, "Invalid connection init payload")
        context = await self.authenticated(cast("dict[str, Any]", payload or {}))
        actor = context.actor_id
        if actor is not None:
            if self.sockets.actors[actor] >= self.sockets.caps.connections_per_actor:
                raise Close(TRY_AGAIN_LATER, "Too many connections")
            self.sockets.actors[actor] += 1
            self.actor = actor
        self.context = context
        await self.send(b'{"type":"connection_ack"}')
        if self.sockets.farewell is None:
            left = context.expires_at and (context.expires_at - datetime.now(UTC)).total_seconds()
            self.wake_at(left, Close(4401, "Token expired"))

    async def authenticated(self, payload: dict[str, Any]) -> C:
        try:
            return await self.sockets.context_factory(self.websocket, payload)
        except ApiError as error:
            if error.code in TEMPORARY:
                raise Close(TRY_AGAIN_LATER, error.en) from None
            raise Close(4403, "Forbidden") from None
        except Exception as fault:
            log.exception("fault while a socket logged in")
            if isinstance(fault, self.sockets.passing):
                raise Close(TRY_AGAIN_LATER, "Try again later") from None
            raise Close(4500, "Internal server error") from None

    async def begin(self, id_: object, payload: object) -> None:
        if self.context is None:
            raise Close(4401, "Unauthorized")
        name = _id(id_)
        if name in self.operations:
            raise Close(4409, f"Subscriber for {name} already exists")
        try:
            asked = GraphQLRequest.read(payload)
        except ApiError as error:
            raise Close(4400, error.en) from None
        if len(self.operations) >= self.sockets.caps.operations_per_connection:
            await self.send(self.error(name, self.context, self.too_many_operations()))
            return
        self.operations[name] = asyncio.create_task(self.operate(name, asked, self.context))

    async def operate(self, name: str, asked: GraphQLRequest, context: C) -> None:
        """One operation, from `subscribe` to `complete` or `error`."""
        OPERATIONS.inc()
        id_ = orjson.dumps(name)
        last = b'{"id":%b,"type":"complete"}' % id_
        try:
            try:
                context = self.sockets.fresh(context)
                if self.sockets.admit is not None and not await self.sockets.admit(context):
                    self.wake_at(0, Close(4401, "Session ended"))
                    return
                async with aclosing(self.payloads(asked, context)) as payloads:
                    async for payload in payloads:
                        await self.send(b'{"id":%b,"type":"next","payload":%b}' % (id_, payload))
            except (WebSocketDisconnect, WebSocketDisconnected):
                return
            except Exception as error:
                last = self.error(name, context, error)
            if self.operations.get(name) is asyncio.current_task():
                del self.operations[name]  # the id is free before the client hears of it
                await self.send(last)
        except (WebSocketDisconnect, WebSocketDisconnected):
            pass
        finally:
            OPERATIONS.dec()

    def error(self, name: str, context: C, cause: Exception) -> bytes:
        """Return the message that ends an operation by an error."""
        errors = orjson.dumps(self.sockets.engine.errors(context, cause))
        return b'{"id":%b,"type":"error","payload":%b}' % (orjson.dumps(name), errors)

    def too_many_operations(self) -> ApiError:
        allowed = self.sockets.caps.operations_per_connection
        return ApiError(
            "RATE_LIMITED",
            vi=f"Kết nối này đang chạy {allowed} thao tác, mức tối đa. Hãy kết thúc bớt rồi thử lại.",
            en=f"This connection runs {allowed} operations, the most there may be. End some first.",
            details={"allowed": allowed},
        )

    async def payloads(self, asked: GraphQLRequest, context: C) -> AsyncGenerator[bytes, None]:
        engine = self.sockets.engine
        operation = engine.operation(asked, context)
        if operation.type is OperationType.SUBSCRIPTION:
            async with aclosing(engine.subscribe(operation, context, self.sockets.fresh)) as events:
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
    if len(text) > LARGEST_BODY:
        raise Close(1009, f"Messages may have {LARGEST_BODY} bytes")
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
        async with asyncio.timeout(FAREWELL_SECONDS):
            await websocket.close(close.code, close.reason)
    except (TimeoutError, WebSocketDisconnect, WebSocketDisconnected):
        pass
