"""
A toy schema, served over a real socket, for the tests of GraphQL itself.

    served      the served toy, per test module
    logs        the events logged during a test

A test module loads these fixtures by `pytest_plugins = ["tests.support.graphql_server"]`.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, NewType

import httpx
import orjson
import pytest
import strawberry
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from schema.graphql.engine import document_of
from schema.graphql.errors import ApiError, Language
from schema.graphql.http import GraphQLEndpoint, language_of
from schema.graphql.query_limits import Limits
from schema.graphql.websocket import GraphQLSockets, SocketLimits


@dataclass
class Toy:
    """What the toy's resolvers did, and the event that they wait for."""

    ran: list[str] = field(default_factory=list)
    finally_ran: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0


@dataclass
class Context:
    toy: Toy
    language: Language = "vi"
    stamp: int = 0
    actor_id: str | None = None
    expires_at: datetime | None = None
    request_id: str = ""


def parse_amount(value: object) -> int:
    if not isinstance(value, int):
        raise ApiError(
            "BAD_USER_INPUT", vi="Số tiền phải là số nguyên.", en="An amount is a whole number."
        )
    if value < 0:
        raise ValueError("negative")
    return value


Amount = NewType("Amount", int)


@strawberry.type
class Node:
    id: int

    @strawberry.field
    def children(self, first: int = 10) -> list[Node]:
        return [Node(id=number) for number in range(min(first, 3))]

    @strawberry.field
    def parent(self) -> Node:
        return self

    @strawberry.field
    def stamp(self, info: strawberry.Info[Context, None]) -> int:
        return info.context.stamp


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, name: str = "world") -> str:
        return f"hello {name}"

    @strawberry.field
    def node(self, id: int = 0) -> Node:
        return Node(id=id)

    @strawberry.field
    def nodes(self, first: int | None = None) -> list[Node]:
        return [Node(id=number) for number in range(min(first or 3, 3))]

    @strawberry.field
    def double(self, amount: Amount) -> Amount:
        return Amount(amount * 2)

    @strawberry.field
    def bug(self) -> str | None:
        raise RuntimeError("the password is 1234")

    @strawberry.field
    def missing(self) -> str | None:
        raise ApiError(
            "NOT_FOUND", vi="Không thấy hợp đồng.", en="No such contract.", details={"id": "X"}
        )

    @strawberry.field
    def huge(self) -> int | None:
        return 2**40


@strawberry.type
class Mutation:
    @strawberry.mutation
    def add(self, info: strawberry.Info[Context, None], what: str) -> str:
        info.context.toy.ran.append(what)
        return what

    @strawberry.mutation
    async def slowly(self, info: strawberry.Info[Context, None]) -> str:
        toy = info.context.toy
        toy.ran.append("begun")
        await toy.release.wait()
        toy.ran.append("done")
        return "done"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, to: int = 3) -> AsyncGenerator[int, None]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def nodes(self) -> AsyncGenerator[Node, None]:
        yield Node(id=1)
        yield Node(id=2)

    @strawberry.subscription
    async def wait(self, info: strawberry.Info[Context, None]) -> AsyncGenerator[int, None]:
        try:
            yield 0
            await info.context.toy.release.wait()
            yield 1
        finally:
            info.context.toy.finally_ran.set()

    @strawberry.subscription
    async def flood(self, info: strawberry.Info[Context, None]) -> AsyncGenerator[str, None]:
        toy = info.context.toy
        try:
            while True:
                toy.sent += 1
                yield "x" * 10_000
        finally:
            toy.finally_ran.set()

    @strawberry.subscription
    async def missing(self) -> AsyncGenerator[int, None]:
        raise ApiError("NOT_FOUND", vi="Không thấy.", en="Not there.")
        yield 0

    @strawberry.subscription
    async def bug(self) -> AsyncGenerator[int, None]:
        yield 0
        raise RuntimeError("the password is 1234")


toy_schema = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    config=strawberry.schema.config.StrawberryConfig(
        scalar_map={
            Amount: strawberry.scalar(name="Amount", serialize=int, parse_value=parse_amount)
        }
    ),
)


# The error that a login with each of these tokens raises; later it may succeed.
TEMPORARY_ERRORS: dict[str, Exception] = {
    "rate": ApiError("RATE_LIMITED"),
    "upstream": ApiError("UPSTREAM_UNAVAILABLE"),
    "refused": ConnectionRefusedError(),
    "late": TimeoutError(),
}


@dataclass
class Served:
    toy: Toy
    endpoint: GraphQLEndpoint[Context]
    sockets: GraphQLSockets[Context]
    server: uvicorn.Server
    port: int
    client: httpx.AsyncClient

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}/graphql"

    async def query(self, query: str, **members: Any) -> dict[str, Any]:
        headers = members.pop("headers", {})
        request = {"query": query, **members}
        response = await self.client.post("/graphql", json=request, headers=headers)
        assert response.status_code == 200, response.text
        return response.json()


@asynccontextmanager
async def serving(
    *,
    limits: Limits | None = None,
    introspection: bool = True,
    graphiql: bool = False,
    socket_limits: SocketLimits | None = None,
    origins: list[str] | None = None,
    find_document: Any = document_of,
    lane_of: Any = None,
) -> AsyncIterator[Served]:
    toy = Toy()

    def authenticate(authorization: str | None, language: Language) -> Context:
        if authorization is None:
            return Context(toy, language)
        scheme, _, name = authorization.partition(" ")
        if scheme != "Bearer" or name == "bad":
            raise ApiError("UNAUTHENTICATED")
        if name == "crash":
            raise RuntimeError("no keys")
        if name in TEMPORARY_ERRORS:
            raise TEMPORARY_ERRORS[name]
        soon = datetime.now(UTC) + timedelta(seconds=1)
        return Context(toy, language, actor_id=name, expires_at=soon if name == "soon" else None)

    async def http_context(request: Request) -> Context:
        return authenticate(request.headers.get("authorization"), language_of(request.headers))

    async def socket_context(websocket: WebSocket, payload: dict[str, Any]) -> Context:
        return authenticate(payload.get("authorization"), language_of(websocket.headers))

    endpoint = GraphQLEndpoint(
        toy_schema,
        http_context,
        limits=limits,
        introspection=introspection,
        graphiql=graphiql,
        find_document=find_document,
        lane_of=lane_of,
    )
    stamps = itertools.count(1)
    sockets = GraphQLSockets(
        endpoint.engine,
        socket_context,
        limits=socket_limits,
        origins=origins,
        renew=lambda context: replace(context, stamp=next(stamps)),
    )
    routes = [Route("/graphql", endpoint), WebSocketRoute("/graphql", sockets)]
    config = uvicorn.Config(
        Starlette(routes=routes),
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="off",
        log_level="error",
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        running = asyncio.create_task(server._serve([listener]))
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield Served(toy, endpoint, sockets, server, port, client)
        finally:
            toy.release.set()
            server.should_exit = True
            await running


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


# Prefers the newer media type of GraphQL over HTTP.
GRAPHQL = {"accept": "application/graphql-response+json"}


async def post(
    served: Served, body: Any, *, accept: str = "application/json", **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    all_headers = {"content-type": "application/json", "accept": accept} | headers
    return await served.client.post("/graphql", content=content, headers=all_headers)


def only_error(response: httpx.Response) -> dict[str, Any]:
    """Return the single error of a response without data."""
    body = response.json()
    assert list(body) == ["errors"], body
    (error,) = body["errors"]
    return error


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; raise TimeoutError after 20 s."""
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)
