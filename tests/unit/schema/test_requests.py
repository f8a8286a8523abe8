"""What a GraphQL request leaves open: empty or null is absent, and a document that is only named is not had."""

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
NAMED_ONLY: dict[str, dict[str, Any]] = {
    "Apollo's form": BY_HASH,
    "with the rest of a request": BY_HASH
    | {"operationName": "Hello", "variables": {"name": "Huế"}},
    "with an empty query": BY_HASH | {"query": ""},
    "with a null query": BY_HASH | {"query": None},
    "by documentId": {"documentId": f"sha256:{HASH}"},
    "by both": BY_HASH | {"documentId": HASH},
}
named_only = pytest.mark.parametrize("request_", NAMED_ONLY.values(), ids=NAMED_ONLY)


@pytest.fixture(scope="module")
async def in_development() -> AsyncIterator[Served]:
    async with serving(graphiql=True) as served:
        yield served


# Empty is absent


@pytest.mark.parametrize("empty", [{name: ""} for name in OPTIONAL] + [dict.fromkeys(OPTIONAL, "")])
async def test_an_empty_parameter_of_get_is_absent(served: Served, empty: dict[str, str]) -> None:
    answer = await served.client.get("/graphql", params={"query": "{ hello }"} | empty)
    assert (answer.status_code, answer.json()) == (200, HELLO)


@pytest.mark.parametrize("empty", ["", None])
@pytest.mark.parametrize("names", [[name] for name in OPTIONAL] + [OPTIONAL])
async def test_an_empty_member_of_a_request_is_absent(
    served: Served, names: list[str], empty: str | None
) -> None:
    request = {"query": "{ hello }"} | dict.fromkeys(names, empty)
    assert (await post(served, request)).json() == HELLO
    async with client(served) as speaker:
        await speaker.say({"id": "1", "type": "subscribe", "payload": request})
        assert (await speaker.record_vote())["payload"] == HELLO


async def test_a_null_in_the_variables_of_get_is_absent(served: Served) -> None:
    nulls = {"variables": "null", "extensions": "null"}
    answer = await served.client.get("/graphql", params={"query": "{ hello }"} | nulls)
    assert answer.json() == HELLO


async def test_an_empty_accept_is_absent(served: Served) -> None:
    answer = await post(served, {"query": "{ hello }"}, accept="")
    assert (answer.status_code, answer.json()) == (200, HELLO)


@pytest.mark.parametrize("member", [{"documentId": 1}, {"documentId": {}}, {"variables": 0}])
async def test_another_type_is_refused_as_before(served: Served, member: dict[str, Any]) -> None:
    answer = await post(served, {"query": "{ hello }"} | member)
    assert answer.status_code == 400
    assert only_error(answer)["extensions"]["code"] == "BAD_USER_INPUT"


# Documents that are only named


@named_only
async def test_a_document_that_is_only_named_is_refused_in_the_words_of_apollo(
    served: Served, request_: dict[str, Any]
) -> None:
    """Apollo Server answers 200; without `data` the newer media type wants a 4xx, which clients read there."""
    for language in ("vi", "en"):
        language_ = {"accept-language": language}
        older = await post(served, request_, **language_)
        newer = await post(served, request_, **language_, **GRAPHQL)
        assert (older.status_code, newer.status_code) == (200, 400)
        for answer in (older, newer):
            error = only_error(answer)
            assert error["message"] == "PersistedQueryNotSupported"
            assert error["extensions"] == {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}
            assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "parameters",
    [
        {"extensions": f'{{"persistedQuery":{{"version":1,"sha256Hash":"{HASH}"}}}}'},
        {"documentId": HASH, "query": ""},
    ],
)
@pytest.mark.parametrize("accept", ["application/json", "text/html,*/*;q=0.8"])
async def test_by_get_too_and_no_page_comes_in_its_place(
    in_development: Served, parameters: dict[str, str], accept: str
) -> None:
    answer = await in_development.client.get(
        "/graphql", params=parameters, headers={"accept": accept}
    )
    assert answer.status_code == 200
    assert only_error(answer)["extensions"]["code"] == "PERSISTED_QUERY_NOT_SUPPORTED"


@named_only
async def test_over_a_socket_it_is_an_error_of_the_operation(
    served: Served, request_: dict[str, Any]
) -> None:
    async with client(served) as speaker:
        for _ in range(2):
            await speaker.say({"id": "1", "type": "subscribe", "payload": request_})
            answer = await speaker.record_vote()
            assert (answer["type"], answer["id"]) == ("error", "1")
            (error,) = answer["payload"]
            assert error["message"] == "PersistedQueryNotSupported"
            assert error["extensions"]["code"] == "PERSISTED_QUERY_NOT_SUPPORTED"


@named_only
async def test_the_text_that_the_client_sends_then_runs(
    served: Served, request_: dict[str, Any]
) -> None:
    whole = request_ | {"query": "query Hello { hello }"}
    assert (await post(served, whole)).json() == HELLO


@pytest.mark.parametrize(
    "extensions", [{}, {"persistedQuery": None}, {"persistedQuery": ""}, {"persistedQuery": {}}]
)
async def test_a_request_that_names_nothing_lacks_its_query(
    served: Served, extensions: dict[str, Any]
) -> None:
    answer = await post(served, {"extensions": extensions}, **{"accept-language": "en"})
    assert answer.status_code == 400
    assert only_error(answer)["message"] == "`query` is missing."


async def test_a_document_id_is_looked_through_for_a_card_number(served: Served) -> None:
    answer = await post(served, {"query": "{ hello }", "documentId": "4111111111111111"})
    assert only_error(answer)["extensions"]["code"] == "BAD_USER_INPUT"
