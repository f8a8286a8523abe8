"""Optional members of a GraphQL request, and documents that are only named."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.graphql_server import GRAPHQL, Served, only_error, post, serving
from tests.support.socket_client import client

pytest_plugins = ["tests.support.graphql_server"]
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("logs")]

HELLO = {"data": {"hello": "hello world"}}
OPTIONAL = ["operationName", "variables", "extensions", "documentId"]
HASH = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38"
BY_HASH = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": HASH}}}
DOCUMENT_REFERENCES: dict[str, dict[str, Any]] = {
    "Apollo's form": BY_HASH,
    "with the rest of a request": BY_HASH
    | {"operationName": "Hello", "variables": {"name": "Huế"}},
    "with an empty query": BY_HASH | {"query": ""},
    "with a null query": BY_HASH | {"query": None},
    "by documentId": {"documentId": f"sha256:{HASH}"},
    "by both": BY_HASH | {"documentId": HASH},
}
each_reference = pytest.mark.parametrize(
    "request_", DOCUMENT_REFERENCES.values(), ids=DOCUMENT_REFERENCES
)


@pytest.fixture(scope="module")
async def with_graphiql() -> AsyncIterator[Served]:
    async with serving(graphiql=True) as served:
        yield served


# ── empty members ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "empty", [{name: ""} for name in OPTIONAL] + [dict.fromkeys(OPTIONAL, " ")]
)
async def test_an_empty_parameter_of_get_is_absent(served: Served, empty: dict[str, str]) -> None:
    response = await served.client.get("/graphql", params={"query": "{ hello }"} | empty)
    assert (response.status_code, response.json()) == (200, HELLO)


@pytest.mark.parametrize("empty", ["", " \t", None])
@pytest.mark.parametrize("names", [[name] for name in OPTIONAL] + [OPTIONAL])
async def test_an_empty_member_of_a_request_is_absent(
    served: Served, names: list[str], empty: str | None
) -> None:
    request = {"query": "{ hello }"} | dict.fromkeys(names, empty)
    assert (await post(served, request)).json() == HELLO
    async with client(served) as connection:
        await connection.send({"id": "1", "type": "subscribe", "payload": request})
        assert (await connection.receive())["payload"] == HELLO


async def test_a_null_in_the_variables_of_get_is_absent(served: Served) -> None:
    nulls = {"variables": "null", "extensions": "null"}
    response = await served.client.get("/graphql", params={"query": "{ hello }"} | nulls)
    assert response.json() == HELLO


async def test_an_empty_accept_is_absent(served: Served) -> None:
    response = await post(served, {"query": "{ hello }"}, accept="")
    assert (response.status_code, response.json()) == (200, HELLO)


@pytest.mark.parametrize("member", [{"documentId": 1}, {"documentId": {}}, {"variables": 0}])
async def test_a_member_of_another_type_is_refused(served: Served, member: dict[str, Any]) -> None:
    response = await post(served, {"query": "{ hello }"} | member)
    assert response.status_code == 400
    assert only_error(response)["extensions"]["code"] == "BAD_USER_INPUT"


# ── documents that are only named ────────────────────────────────────────────────────────────────


@each_reference
async def test_a_document_that_is_only_named_gets_apollos_message(
    served: Served, request_: dict[str, Any]
) -> None:
    """Apollo Server replies 200; without `data` the newer media type needs a 4xx status."""
    for language in ("vi", "en"):
        headers = {"accept-language": language}
        older = await post(served, request_, **headers)
        newer = await post(served, request_, **headers, **GRAPHQL)
        assert (older.status_code, newer.status_code) == (200, 400)
        for response in (older, newer):
            error = only_error(response)
            assert error["message"] == "PersistedQueryNotSupported"
            assert error["extensions"] == {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}
            assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "parameters",
    [
        {"extensions": f'{{"persistedQuery":{{"version":1,"sha256Hash":"{HASH}"}}}}'},
        {"documentId": HASH, "query": ""},
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/html,*/*;q=0.8"])
async def test_a_document_named_by_get_gets_no_page(
    with_graphiql: Served, parameters: dict[str, str], accept: str
) -> None:
    response = await with_graphiql.client.get(
        "/graphql", params=parameters, headers={"accept": accept}
    )
    assert response.status_code == 200
    assert only_error(response)["extensions"]["code"] == "PERSISTED_QUERY_NOT_SUPPORTED"


@each_reference
async def test_over_a_socket_it_is_an_error_frame(served: Served, request_: dict[str, Any]) -> None:
    async with client(served) as connection:
        for _ in range(2):
            await connection.send({"id": "1", "type": "subscribe", "payload": request_})
            response = await connection.receive()
            assert (response["type"], response["id"]) == ("error", "1")
            (error,) = response["payload"]
            assert error["message"] == "PersistedQueryNotSupported"
            assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_SUPPORTED"


@each_reference
async def test_a_document_that_is_named_and_sent_runs(
    served: Served, request_: dict[str, Any]
) -> None:
    whole = request_ | {"query": "query Hello { hello }"}
    assert (await post(served, whole)).json() == HELLO


@pytest.mark.parametrize(
    "extensions", [{}, {"persistedQuery": None}, {"persistedQuery": ""}, {"persistedQuery": {}}]
)
async def test_a_request_without_a_document_lacks_its_query(
    served: Served, extensions: dict[str, Any]
) -> None:
    response = await post(served, {"extensions": extensions}, **{"accept-language": "en"})
    assert response.status_code == 400
    assert only_error(response)["message"] == "`query` is missing."


async def test_a_document_id_may_not_be_a_card_number(served: Served) -> None:
    response = await post(served, {"query": "{ hello }", "documentId": "4111111111111111"})
    assert only_error(response)["extensions"]["code"] == "BAD_USER_INPUT"
