"""GraphQL over HTTP, asked by a real client over a real socket, with a toy schema."""

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
from graphql import GraphQLError, get_introspection_query
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from schema.api_errors import TEXTS, ApiError, Language, Refused, format_error
from schema.graphql_engine import Asked, Engine, the_query
from schema.graphql_http import GraphQLEndpoint, Stranger, language_of
from schema.graphql_ws import Caps, GraphQLSockets
from schema.limits_of_a_query import Limits

pytestmark = pytest.mark.anyio


@dataclass
class Toy:
    """What the toy's resolvers did, and what they wait for."""

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
    def children(self, first: int = 10) -> list["Node"]:
        return [Node(id=n) for n in range(min(first, 3))]

    @strawberry.field
    def parent(self) -> "Node":
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
        return [Node(id=n) for n in range(min(first or 3, 3))]

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

    async def ask(self, query: str, **more: Any) -> dict[str, Any]:
        headers = more.pop("headers", {})
        answer = await self.client.post("/graphql", json={"query": query, **more}, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@asynccontextmanager
async def serving(
    *,
    limits: Limits | None = None,
    introspection: bool = True,
    graphiql: bool = False,
    caps: Caps | None = None,
    origins: list[str] | None = None,
    find_document: Any = the_query,
) -> AsyncIterator[Served]:
    toy = Toy()

    def known(authorization: str | None, language: Language) -> Context:
        if authorization is None:
            return Context(toy, language)
        kind, _, name = authorization.partition(" ")
        if kind != "Bearer" or name == "bad":
            raise ApiError("UNAUTHENTICATED")
        if name == "crash":
            raise RuntimeError("no keys")
        soon = datetime.now(UTC) + timedelta(seconds=0.2)
        return Context(toy, language, actor_id=name, expires_at=soon if name == "soon" else None)

    async def context(request: Request) -> Context:
        return known(request.headers.get("authorization"), language_of(request.headers))

    async def ws_context(websocket: WebSocket, payload: dict[str, Any]) -> Context:
        return known(payload.get("authorization"), language_of(websocket.headers))

    endpoint = GraphQLEndpoint(
        toy_schema,
        context,
        limits=limits,
        introspection=introspection,
        graphiql=graphiql,
        find_document=find_document,
    )
    stamps = itertools.count(1)
    sockets = GraphQLSockets(
        endpoint.engine,
        ws_context,
        caps=caps,
        origins=origins,
        fresh=lambda context: replace(context, stamp=next(stamps)),
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
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        running = asyncio.create_task(server._serve([listening]))
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                yield Served(toy, endpoint, sockets, server, port, client)
        finally:
            toy.release.set()
            server.should_exit = True
            await running


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


GRAPHQL = {"accept": "application/graphql-response+json"}


async def test_a_query_is_answered_in_both_media_types(served: Served) -> None:
    for accept, given in (
        ("application/json", "application/json"),
        ("application/graphql-response+json", "application/graphql-response+json"),
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json",
        ),
        ("application/graphql-response+json;q=0.1, application/json", "application/json"),
        ("*/*", "application/json"),
    ):
        answer = await served.client.post(
            "/graphql", json={"query": "{ hello }"}, headers={"accept": accept}
        )
        assert answer.headers["content-type"] == f"{given}; charset=utf-8"
        assert answer.json() == {"data": {"hello": "hello world"}}


async def post(
    served: Served, body: Any, *, accept: str = "application/json", **headers: str
) -> httpx.Response:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    given = {"content-type": "application/json", "accept": accept} | headers
    return await served.client.post("/graphql", content=content, headers=given)


def only_error(answer: httpx.Response) -> dict[str, Any]:
    body = answer.json()
    assert list(body) == ["errors"], body
    (error,) = body["errors"]
    return error


async def test_a_media_type_that_we_do_not_speak_is_406(served: Served) -> None:
    assert (await post(served, {"query": "{ hello }"}, accept="text/plain")).status_code == 406
    refused = await post(served, {"query": "{ hello }"}, accept="application/json;q=0")
    assert refused.status_code == 406


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"null",
        b'"x"',
        b"1",
        b"[]",
        b'[{"query": "{ hello }"}]',
        b"{}",
        b'{"query": ""}',
        b'{"query": 1}',
        b'{"query": ["{ hello }"]}',
        b'{"query": "{ hello }", "variables": []}',
        b'{"query": "{ hello }", "variables": "{}"}',
        b'{"query": "{ hello }", "operationName": 1}',
        b'{"query": "{ hello }", "extensions": 1}',
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_what_is_no_request_is_400(served: Served, body: bytes, accept: str) -> None:
    answer = await post(served, body, accept=accept)
    assert answer.status_code == 400
    assert only_error(answer)["extensions"]["code"] == "BAD_USER_INPUT"


async def test_nulls_in_a_request_are_as_if_not_sent(served: Served) -> None:
    body = {"query": "{ hello }", "variables": None, "operationName": None, "extensions": None}
    assert (await post(served, body)).json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/graphql", "application/json; charset=latin-1", ""]
)
async def test_another_content_type_is_415(served: Served, kind: str) -> None:
    answer = await served.client.post("/graphql", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_another_method_is_405_and_says_which_are_allowed(
    served: Served, method: str
) -> None:
    answer = await served.client.request(method, "/graphql")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")


async def test_a_body_over_the_cap_is_413(served: Served) -> None:
    answer = await post(served, {"query": "{ hello }", "variables": {"x": "x" * 256 * 1024}})
    assert answer.status_code == 413


async def test_get_serves_queries(served: Served) -> None:
    given = {
        "query": "query Q($n: String!) { hello(name: $n) } query R { bug }",
        "operationName": "Q",
        "variables": '{"n": "Huế"}',
    }
    answer = await served.client.get("/graphql", params=given)
    assert answer.json() == {"data": {"hello": "hello Huế"}}
    for bad in ({"variables": "{"}, {"variables": "[]"}, {"query": ""}):
        assert (await served.client.get("/graphql", params=given | bad)).status_code == 400


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_a_mutation_by_get_is_405_and_does_not_run(served: Served, accept: str) -> None:
    query = {"query": 'mutation { add(what: "by get") }'}
    answer = await served.client.get("/graphql", params=query, headers={"accept": accept})
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert "by get" not in served.toy.ran


async def test_two_operations_and_no_name_are_400_and_neither_runs(served: Served) -> None:
    two = 'mutation A { add(what: "A") } mutation B { add(what: "B") }'
    assert (await post(served, {"query": two})).status_code == 400
    assert (await post(served, {"query": two, "operationName": "C"})).status_code == 400
    assert not {"A", "B"} & set(served.toy.ran)
    assert (await post(served, {"query": two, "operationName": "B"})).json() == {
        "data": {"add": "B"}
    }
    assert served.toy.ran.count("B") == 1
    assert "A" not in served.toy.ran


@pytest.mark.parametrize(
    "query",
    [
        'mutation { a: add(what: "two") b: add(what: "two") }',
        'mutation { ...F } fragment F on Mutation { a: add(what: "two") ... { b: add(what: "two") } }',
    ],
)
async def test_a_mutation_has_one_root_field(served: Served, query: str) -> None:
    answer = await post(served, {"query": query}, **GRAPHQL)
    assert answer.status_code == 400
    assert only_error(answer)["message"] == "Mỗi mutation chỉ được gọi một trường gốc."
    assert "two" not in served.toy.ran


async def test_a_subscription_over_http_is_400(served: Served) -> None:
    answer = await post(served, {"query": "subscription { count }"}, **{"accept-language": "en"})
    assert answer.status_code == 400
    assert only_error(answer)["message"] == "Subscriptions run over WebSocket only."


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ("{", None),
        ("{ nothing }", None),
        ("query($n: String!) { hello(name: $n) }", {}),
        ("query($n: String) { hello(name: $n) }", {"n": 1}),
    ],
)
async def test_a_request_error_is_200_in_json_and_400_without_data_in_the_newer_type(
    served: Served, query: str, variables: dict[str, Any] | None
) -> None:
    body = {"query": query, "variables": variables}
    older, newer = await post(served, body), await post(served, body, **GRAPHQL)
    assert (older.status_code, newer.status_code) == (200, 400)
    for answer in (older, newer):
        assert only_error(answer)["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_bug_is_masked_and_logged_with_its_id(served: Served, logs: list[Any]) -> None:
    answer = await served.ask("{ bug hello }")
    assert answer["data"] == {"bug": None, "hello": "hello world"}
    (error,) = answer["errors"]
    assert error["message"] == "Hệ thống gặp sự cố, vui lòng thử lại."
    assert error["path"] == ["bug"]
    assert error["extensions"]["code"] == "INTERNAL"
    (entry,) = logs
    assert entry["id"] == error["extensions"]["details"]["id"]
    assert isinstance(entry["exc_info"], RuntimeError)


async def test_a_value_that_cannot_be_written_is_our_fault_and_masked(served: Served) -> None:
    (error,) = (await served.ask("{ huge }"))["errors"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert "1099511627776" not in error["message"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("", "Không thấy hợp đồng."),
        ("vi", "Không thấy hợp đồng."),
        ("fr, de", "Không thấy hợp đồng."),
        ("en-GB,vi;q=0.5", "No such contract."),
        ("en;q=0.1, vi-VN", "Không thấy hợp đồng."),
        ("en;q=x", "Không thấy hợp đồng."),
    ],
)
async def test_an_api_error_speaks_the_language_that_is_asked_for(
    served: Served, header: str, message: str
) -> None:
    answer = await served.ask("{ missing }", headers={"accept-language": header})
    assert answer["data"] == {"missing": None}
    (error,) = answer["errors"]
    assert error["message"] == message
    assert error["extensions"] == {"code": "NOT_FOUND", "details": {"id": "X"}}


async def test_a_scalar_refuses_with_its_own_words(served: Served) -> None:
    asked = {"query": "query($a: Amount!) { double(amount: $a) }", "variables": {"a": 2}}
    assert (await post(served, asked)).json() == {"data": {"double": 4}}
    answer = await post(served, asked | {"variables": {"a": "x"}}, **GRAPHQL)
    assert answer.status_code == 400
    error = only_error(answer)
    assert (error["message"], error["extensions"]["code"]) == (
        "Số tiền phải là số nguyên.",
        "BAD_USER_INPUT",
    )
    literal = only_error(await post(served, {"query": '{ double(amount: "x") }'}))
    assert literal["message"] == "Số tiền phải là số nguyên."


async def test_a_scalar_that_raises_anything_else_blames_the_client_too(served: Served) -> None:
    for body in (
        {"query": "query($a: Amount!) { double(amount: $a) }", "variables": {"a": -1}},
        {"query": "{ double(amount: -1) }"},
    ):
        assert only_error(await post(served, body))["extensions"]["code"] == "BAD_USER_INPUT"
    null = {"query": "query($i: Int = 1) { node(id: $i) { id } }", "variables": {"i": None}}
    (error,) = (await post(served, null)).json()["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["node"], "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("token", "status", "code"), [("bad", 401, "UNAUTHENTICATED"), ("crash", 500, "INTERNAL")]
)
async def test_who_is_refused_at_the_door_runs_nothing(
    served: Served, token: str, status: int, code: str
) -> None:
    answer = await post(served, {"query": "{ hello }"}, authorization=f"Bearer {token}", **GRAPHQL)
    assert answer.status_code == status
    assert only_error(answer)["extensions"]["code"] == code


async def test_what_is_too_expensive_is_refused_with_its_numbers(served: Served) -> None:
    answer = await served.ask("{ nodes(first: 100) { children(first: 1000) { id } } }")
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "QUERY_TOO_EXPENSIVE"
    assert error["extensions"]["details"]["cost"] == {"asked": 100_101, "allowed": 20_000}
    (error,) = (await served.ask("{" + "a " * 2_000 + "}"))["errors"]
    assert error["extensions"]["code"] == "QUERY_TOO_EXPENSIVE"
    paged = "query($n: Int) { nodes(first: $n) { id } }"
    (error,) = (await served.ask(paged, variables={"n": 101}))["errors"]
    assert error["extensions"]["details"] == {"n": {"asked": 101, "allowed": 100}}


async def test_introspection_passes_where_it_is_allowed(served: Served) -> None:
    asked = get_introspection_query(input_value_deprecation=True, specified_by_url=True)
    assert "__schema" in (await served.ask(asked))["data"]
    async with serving(introspection=False) as closed:
        (error, *_) = (await closed.ask(asked))["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert (await closed.ask("{ __typename }"))["data"] == {"__typename": "Query"}


async def test_a_document_is_prepared_once_and_the_oldest_is_forgotten() -> None:
    engine = Engine[Context](toy_schema, documents=2)
    first = engine.prepare("{ hello }")
    assert engine.prepare("{ hello }") is first
    for text in ("{ nodes { id } }", "{ node { id } }"):
        engine.prepare(text)
    assert engine.prepare("{ hello }") is not first
    for _ in range(2):  # what is refused is remembered too
        with pytest.raises(Refused):
            engine.prepare("{ nothing }")


async def test_documents_are_forgotten_by_their_size_too() -> None:
    engine = Engine[Context](toy_schema, tokens=100)
    for number in range(50):
        engine.prepare(f"{{ a{number}: hello }}")
    assert engine._tokens <= 100
    assert len(engine._prepared) < 30


async def test_a_mutation_is_finished_when_its_client_has_gone() -> None:
    async with serving() as served:
        asking = asyncio.create_task(served.ask("mutation { slowly }"))
        await until(lambda: served.toy.ran == ["begun"])
        asking.cancel()
        await asyncio.wait([asking])
        served.toy.release.set()
        await served.endpoint.engine.drain()
        assert served.toy.ran == ["begun", "done"]


async def test_a_cancelled_request_does_not_cancel_its_mutation() -> None:
    toy = Toy()
    engine = Engine[Context](toy_schema)
    context = Context(toy)
    operation = engine.operation(Asked(query="mutation { slowly }"), context)
    running = asyncio.create_task(engine.execute(operation, context))
    await until(lambda: toy.ran == ["begun"])
    running.cancel()
    await asyncio.wait([running])
    toy.release.set()
    await engine.drain()
    assert toy.ran == ["begun", "done"]


async def test_trusted_documents_take_the_place_of_the_query() -> None:
    def find(asked: Asked, _context: Context) -> str:
        if (asked.extensions or {}).get("id") != "hello":
            raise ApiError("PERSISTED_DOCUMENT_REQUIRED")
        return "{ hello }"

    async with serving(find_document=find) as served:
        trusted = await post(served, {"extensions": {"id": "hello"}})
        assert trusted.json() == {"data": {"hello": "hello world"}}
        refused = only_error(await post(served, {"query": "{ hello }"}))
        assert refused["extensions"]["code"] == "PERSISTED_DOCUMENT_REQUIRED"


async def test_graphiql_is_shown_to_browsers_where_it_is_on(served: Served) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert (await served.client.get("/graphql", headers=browser)).status_code == 400
    async with serving(graphiql=True) as developing:
        page = await developing.client.get("/graphql", headers=browser)
        assert page.headers["content-type"].startswith("text/html")
        assert "GraphiQL" in page.text
        query = await developing.client.get("/graphql?query={hello}", headers=browser)
        assert query.json() == {"data": {"hello": "hello world"}}


def test_another_floors_exception_may_be_given_words() -> None:
    def translate(error: Exception) -> ApiError | None:
        return ApiError("NOT_FOUND") if isinstance(error, LookupError) else None

    error = GraphQLError("x", original_error=LookupError("x"))
    said = format_error(error, Stranger("en"), translate=translate)
    assert said == {"message": "Not found.", "extensions": {"code": "NOT_FOUND"}}


def test_every_code_of_ours_speaks_both_languages() -> None:
    assert all(vi and en and vi != en for vi, en in TEXTS.values())
    contract = "UNAUTHENTICATED FORBIDDEN RATE_LIMITED BAD_USER_INPUT INTERNAL QUERY_TOO_EXPENSIVE"
    assert {*contract.split(), "PERSISTED_DOCUMENT_REQUIRED"} <= set(TEXTS)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not happened():
            await asyncio.sleep(0.005)
