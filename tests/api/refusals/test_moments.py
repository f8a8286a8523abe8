"""A DateTime needs its offset, as in RFC 3339."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.refusals import both_languages
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

FORM = "2026-11-30T08:30:00+07:00"
DOCUMENTS = {
    "an argument": ("query ($at: DateTime) { trialBalance(at: $at) { account } }", "at"),
    "a filter's beginning": (
        "query ($at: DateTime) { payments(filter: {createdFrom: $at}) { totalCount } }",
        "at",
    ),
    "a filter's end": (
        "query ($filter: PaymentFilter) { payments(filter: $filter) { totalCount } }",
        "filter",
    ),
}
BAD = [
    "2026-11-30T08:30:00",
    "2026-11-30 08:30:00.123",
    "2026-11-30",
    "20261130T083000",
    "2026-11-30T08:30:00+7",
    "2026-11-30T08:30:00 Asia/Ho_Chi_Minh",
    "2026-11-30T25:00:00Z",
    "2026-02-30T08:30:00Z",
    "30/11/2026 08:30",
    "now",
    1796000000,
    True,
    ["2026-11-30T08:30:00Z"],
]


def ask(api: Api, document: str, value: Any, language: str = "vi") -> dict[str, Any]:
    text, variable = DOCUMENTS[document]
    given = {"createdTo": value} if variable == "filter" else value
    return api.execute(text, {variable: given}, token=api.token("FI001"), language=language)


def check_refused(answer: dict[str, Any], language: str) -> None:
    (error,) = answer["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert FORM in error["message"]
    assert "RFC 3339" in error["message"]
    assert ("offset" in error["message"]) is (language == "en")
    assert not answer.get("data")


@both_languages
@pytest.mark.parametrize("value", BAD, ids=str)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_time_without_an_offset_is_refused(
    api: Api, document: str, value: Any, language: str
) -> None:
    check_refused(ask(api, document, value, language), language)


@both_languages
def test_a_literal_without_an_offset_is_refused_too(api: Api, language: str) -> None:
    text = '{ trialBalance(at: "2026-11-30T08:30:00") { account } }'
    check_refused(api.execute(text, token=api.token("FI001"), language=language), language)


@pytest.mark.parametrize(
    "value",
    [
        FORM,
        "2026-11-30T01:30:00Z",
        "2026-11-30t01:30:00z",
        "2026-11-30 08:30:00+07:00",
        "2026-11-30T01:30:00.5Z",
        "2026-11-30T01:30:00.123456789Z",
        "2026-11-29T23:30:00-02:00",
        "2026-11-30T08:30+07:00",
        "20261130T083000+0700",
        "",
        " ",
        None,
    ],
)
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_notation_of_a_time_is_the_same_time(
    api: Api, document: str, value: str | None
) -> None:
    assert not ask(api, document, value).get("errors")


def test_the_offset_changes_the_time(api: Api) -> None:
    paid = api.new_payment("NV002")
    (row,) = api.rows("select created_at from payment where id = $1", paid["id"])
    there = row["created_at"].isoformat().replace("+00:00", "")
    document = (
        "query ($at: DateTime) { payments(filter: {createdFrom: $at}) { edges { node { id } } } }"
    )
    for offset, found in (("+00:00", True), ("Z", True), ("+07:00", True), ("-07:00", False)):
        page = api.get(document, {"at": there + offset}, token=api.token("NV002"))
        assert (paid["id"] in str(page)) is found, offset
