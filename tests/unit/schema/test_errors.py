"""The errors that a client sees, with the toy schema."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLError

from schema.graphql.errors import TEXTS, ApiError, format_error
from schema.graphql.http import Anonymous
from tests.support.graphql_server import GRAPHQL, Served, only_error, post

pytest_plugins = ["tests.support.graphql_server"]
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("logs")]


async def test_a_bug_is_masked_and_logged_with_its_id(served: Served, logs: list[Any]) -> None:
    response = await served.query("{ bug hello }")
    assert response["data"] == {"bug": None, "hello": "hello world"}
    (error,) = response["errors"]
    assert error["message"] == "Hệ thống gặp sự cố, vui lòng thử lại."
    assert error["path"] == ["bug"]
    assert error["extensions"]["code"] == "INTERNAL"
    (entry,) = logs
    assert entry["id"] == error["extensions"]["details"]["id"]
    assert isinstance(entry["exc_info"], RuntimeError)


async def test_a_result_that_cannot_be_serialized_is_masked(served: Served) -> None:
    (error,) = (await served.query("{ huge }"))["errors"]
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
async def test_an_api_error_has_the_requested_language(
    served: Served, header: str, message: str
) -> None:
    response = await served.query("{ missing }", headers={"accept-language": header})
    assert response["data"] == {"missing": None}
    (error,) = response["errors"]
    assert error["message"] == message
    assert error["extensions"] == {"code": "NOT_FOUND", "details": {"id": "X"}}


async def test_an_invalid_scalar_has_its_own_message(served: Served) -> None:
    request = {"query": "query($a: Amount!) { double(amount: $a) }", "variables": {"a": 2}}
    assert (await post(served, request)).json() == {"data": {"double": 4}}
    response = await post(served, request | {"variables": {"a": "x"}}, **GRAPHQL)
    assert response.status_code == 400
    error = only_error(response)
    assert (error["message"], error["extensions"]["code"]) == (
        "Số tiền phải là số nguyên.",
        "BAD_USER_INPUT",
    )
    literal = only_error(await post(served, {"query": '{ double(amount: "x") }'}))
    assert literal["message"] == "Số tiền phải là số nguyên."


async def test_any_exception_of_a_scalar_is_the_clients_error(served: Served) -> None:
    for body in (
        {"query": "query($a: Amount!) { double(amount: $a) }", "variables": {"a": -1}},
        {"query": "{ double(amount: -1) }"},
    ):
        assert only_error(await post(served, body))["extensions"]["code"] == "BAD_USER_INPUT"
    null = {"query": "query($i: Int = 1) { node(id: $i) { id } }", "variables": {"i": None}}
    (error,) = (await post(served, null)).json()["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["node"], "BAD_USER_INPUT")


def test_an_exception_of_a_lower_layer_is_translated() -> None:
    def translate(error: Exception) -> ApiError | None:
        return ApiError("NOT_FOUND") if isinstance(error, LookupError) else None

    error = GraphQLError("x", original_error=LookupError("x"))
    formatted = format_error(error, Anonymous("en", ""), translate=translate)
    assert formatted == {"message": "Not found.", "extensions": {"code": "NOT_FOUND"}}


def test_every_code_has_a_text_in_both_languages() -> None:
    assert all(vi and en and vi != en for vi, en in TEXTS.values())
    codes = "UNAUTHENTICATED FORBIDDEN RATE_LIMITED BAD_USER_INPUT INTERNAL QUERY_TOO_EXPENSIVE"
    assert {*codes.split(), "PERSISTED_DOCUMENT_REQUIRED"} <= set(TEXTS)
