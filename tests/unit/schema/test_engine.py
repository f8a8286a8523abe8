"""How the engine prepares, caches and executes documents, with the toy schema."""

from __future__ import annotations

import asyncio

import pytest
from graphql import get_introspection_query

from schema.graphql.engine import Engine, GraphQLRequest
from schema.graphql.errors import ApiError, RequestError
from tests.support.graphql_server import (
    Context,
    Served,
    Toy,
    only_error,
    post,
    serving,
    toy_schema,
    until,
)

pytest_plugins = ["tests.support.graphql_server"]
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("logs")]


async def test_an_expensive_document_is_refused_with_its_numbers(served: Served) -> None:
    answer = await served.query("{ nodes(first: 100) { children(first: 1000) { id } } }")
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "QUERY_TOO_EXPENSIVE"
    assert error["extensions"]["details"]["cost"] == {"asked": 100_101, "allowed": 20_000}
    (error,) = (await served.query("{" + "a " * 2_000 + "}"))["errors"]
    assert error["extensions"]["code"] == "QUERY_TOO_EXPENSIVE"
    paged = "query($n: Int) { nodes(first: $n) { id } }"
    (error,) = (await served.query(paged, variables={"n": 101}))["errors"]
    assert error["extensions"]["details"] == {"n": {"asked": 101, "allowed": 100}}


async def test_introspection_runs_only_where_it_is_enabled(served: Served) -> None:
    document = get_introspection_query(input_value_deprecation=True, specified_by_url=True)
    assert "__schema" in (await served.query(document))["data"]
    async with serving(introspection=False) as production:
        (error, *_) = (await production.query(document))["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert (await production.query("{ __typename }"))["data"] == {"__typename": "Query"}


async def test_a_document_is_prepared_once_and_the_oldest_is_evicted() -> None:
    engine = Engine[Context](toy_schema, documents=2)
    first = engine.documents.prepare("{ hello }")
    assert engine.documents.prepare("{ hello }") is first
    for text in ("{ nodes { id } }", "{ node { id } }"):
        engine.documents.prepare(text)
    assert engine.documents.prepare("{ hello }") is not first
    for _ in range(2):  # a refused document is cached too
        with pytest.raises(RequestError):
            engine.documents.prepare("{ nothing }")


async def test_documents_are_evicted_by_their_size_too() -> None:
    engine = Engine[Context](toy_schema, tokens=100)
    for number in range(50):
        engine.documents.prepare(f"{{ a{number}: hello }}")
    assert engine.documents._tokens <= 100
    assert len(engine.documents._cache) < 30


async def test_a_mutation_is_finished_after_its_client_has_left() -> None:
    async with serving() as served:
        request = asyncio.create_task(served.query("mutation { slowly }"))
        await until(lambda: served.toy.ran == ["begun"])
        request.cancel()
        await asyncio.wait([request])
        served.toy.release.set()
        await served.endpoint.engine.drain()
        assert served.toy.ran == ["begun", "done"]


async def test_a_cancelled_request_does_not_cancel_its_mutation() -> None:
    toy = Toy()
    engine = Engine[Context](toy_schema)
    context = Context(toy)
    operation = engine.operation(GraphQLRequest(query="mutation { slowly }"), context)
    running = asyncio.create_task(engine.execute(operation, context))
    await until(lambda: toy.ran == ["begun"])
    running.cancel()
    await asyncio.wait([running])
    toy.release.set()
    await engine.drain()
    assert toy.ran == ["begun", "done"]


async def test_a_document_may_come_from_elsewhere_than_the_query() -> None:
    def find(request: GraphQLRequest, _context: Context) -> str:
        if (request.extensions or {}).get("id") != "hello":
            raise ApiError("PERSISTED_DOCUMENT_REQUIRED")
        return "{ hello }"

    async with serving(find_document=find) as served:
        trusted = await post(served, {"extensions": {"id": "hello"}})
        assert trusted.json() == {"data": {"hello": "hello world"}}
        refused = only_error(await post(served, {"query": "{ hello }"}))
        assert refused["extensions"]["code"] == "PERSISTED_DOCUMENT_REQUIRED"
