"""What a client reads when something is refused or breaks, with the toy schema."""

from typing import Any

import pytest
from graphql import GraphQLError

from schema.graphql.errors import TEXTS, ApiError, format_error
from schema.graphql.http import Stranger
from tests.support.graphql_server import GRAPHQL, Served, only_error, post

pytest_plugins = ["tests.support.graphql_server"]
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("logs")]


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
