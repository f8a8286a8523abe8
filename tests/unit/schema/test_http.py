"""GraphQL over HTTP with a real client, a real socket and the toy schema."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.graphql_server import GRAPHQL, Served, only_error, post, serving

pytest_plugins = ["tests.support.graphql_server"]
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("logs")]


async def test_a_query_is_answered_in_both_media_types(served: Served) -> None:
    for accept, media_type in (
        ("application/json", "application/json"),
        ("application/graphql-response+json", "application/graphql-response+json"),
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json",
        ),
        ("application/graphql-response+json;q=0.1, application/json", "application/json"),
        ("*/*", "application/json"),
    ):
        response = await served.client.post(
            "/graphql", json={"query": "{ hello }"}, headers={"accept": accept}
        )
        assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
        assert response.json() == {"data": {"hello": "hello world"}}


async def test_an_unsupported_media_type_is_406(served: Served) -> None:
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
async def test_a_malformed_request_is_400(served: Served, body: bytes, accept: str) -> None:
    response = await post(served, body, accept=accept)
    assert response.status_code == 400
    assert only_error(response)["extensions"]["code"] == "BAD_USER_INPUT"


async def test_null_members_count_as_absent(served: Served) -> None:
    body = {"query": "{ hello }", "variables": None, "operationName": None, "extensions": None}
    assert (await post(served, body)).json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/graphql", "application/json; charset=latin-1", ""]
)
async def test_another_content_type_is_415(served: Served, kind: str) -> None:
    response = await served.client.post("/graphql", content=b"{}", headers={"content-type": kind})
    assert response.status_code == 415


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"])
async def test_another_method_is_405_and_names_the_allowed_ones(
    served: Served, method: str
) -> None:
    response = await served.client.request(method, "/graphql")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")


async def test_a_body_that_is_too_large_is_413(served: Served) -> None:
    response = await post(served, {"query": "{ hello }", "variables": {"x": "x" * 256 * 1024}})
    assert response.status_code == 413


async def test_get_serves_queries(served: Served) -> None:
    parameters = {
        "query": "query Q($n: String!) { hello(name: $n) } query R { bug }",
        "operationName": "Q",
        "variables": '{"n": "Huế"}',
    }
    response = await served.client.get("/graphql", params=parameters)
    assert response.json() == {"data": {"hello": "hello Huế"}}
    for invalid in ({"variables": "{"}, {"variables": "[]"}, {"query": ""}):
        assert (await served.client.get("/graphql", params=parameters | invalid)).status_code == 400


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_a_mutation_by_get_is_405_and_does_not_run(served: Served, accept: str) -> None:
    query = {"query": 'mutation { add(what: "by get") }'}
    response = await served.client.get("/graphql", params=query, headers={"accept": accept})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert "by get" not in served.toy.ran


async def test_two_operations_and_no_name_are_400_and_neither_runs(served: Served) -> None:
    document = 'mutation A { add(what: "A") } mutation B { add(what: "B") }'
    assert (await post(served, {"query": document})).status_code == 400
    assert (await post(served, {"query": document, "operationName": "C"})).status_code == 400
    assert not {"A", "B"} & set(served.toy.ran)
    assert (await post(served, {"query": document, "operationName": "B"})).json() == {
        "data": {"add": "B"}
    }
    assert served.toy.ran.count("B") == 1
    assert "A" not in served.toy.ran


@pytest.mark.parametrize(
    "query",
    [
        'mutation { a: add(what: "two") b: add(what: "two") }',
        "mutation { ...F } fragment F on Mutation"
        ' { a: add(what: "two") ... { b: add(what: "two") } }',
    ],
)
async def test_a_mutation_has_one_root_field(served: Served, query: str) -> None:
    response = await post(served, {"query": query}, **GRAPHQL)
    assert response.status_code == 400
    assert only_error(response)["message"] == "Mỗi mutation chỉ được gọi một trường gốc."
    assert "two" not in served.toy.ran


async def test_a_subscription_over_http_is_400(served: Served) -> None:
    response = await post(served, {"query": "subscription { count }"}, **{"accept-language": "en"})
    assert response.status_code == 400
    assert only_error(response)["message"] == "Subscriptions run over WebSocket only."


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
    for response in (older, newer):
        assert only_error(response)["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize(
    ("token", "status", "code"), [("bad", 401, "UNAUTHENTICATED"), ("crash", 500, "INTERNAL")]
)
async def test_without_a_valid_token_nothing_runs(
    served: Served, token: str, status: int, code: str
) -> None:
    response = await post(
        served, {"query": "{ hello }"}, authorization=f"Bearer {token}", **GRAPHQL
    )
    assert response.status_code == status
    assert only_error(response)["extensions"]["code"] == code
    challenge = 'Bearer realm="mobinet", error="invalid_token"' if status == 401 else None
    assert response.headers.get("www-authenticate") == challenge


async def test_graphiql_is_served_to_browsers_where_it_is_enabled(served: Served) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    assert (await served.client.get("/graphql", headers=browser)).status_code == 400
    async with serving(graphiql=True) as developing:
        page = await developing.client.get("/graphql", headers=browser)
        assert page.headers["content-type"].startswith("text/html")
        assert "GraphiQL" in page.text
        assert "cannot be reached" in page.text, (
            "without the note the page loads for ever where the CDN is blocked"
        )
        query = await developing.client.get("/graphql?query={hello}", headers=browser)
        assert query.json() == {"data": {"hello": "hello world"}}
