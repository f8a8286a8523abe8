"""Refusals of GraphQL's types and of queries are top-level errors without effect."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.support.refusals import BILL, KNOWN, both_languages, check_top, warm, without_effect
from tests.support.running_api import PAYMENT, PROCESS, Api, Sandbox, key

pytest_plugins = ["tests.support.running_api"]


@pytest.fixture(autouse=True)
def known(api: Api) -> None:
    warm(api)


# ── refusals of GraphQL's types ──────────────────────────────────────────────────────────────────

NOT_AMOUNTS: dict[str, Any] = {
    "a fraction": 200_000.5,
    "a whole fraction": 200_000.0,
    "2^53": 2**53,
    "text": "200000",
    "text with a separator": "200.000",
    "true": True,
    "nothing": None,
    "a list": [200_000],
}


@pytest.mark.parametrize("amount", NOT_AMOUNTS.values(), ids=NOT_AMOUNTS)
def test_no_other_json_is_an_amount(api: Api, sandbox: Sandbox, amount: Any) -> None:
    item = {"type": "BILL", "id": BILL, "amount": amount}
    given = {"idempotencyKey": key(), "method": "CASH"} | KNOWN | {"items": [item]}
    with without_effect(api, sandbox, audit=0):
        answer = api.execute(PROCESS, {"input": given}, token=api.token("NV002"))
    check_top(answer, "BAD_USER_INPUT")


@pytest.mark.parametrize("literal", ["2e5", "200000.0", '"200000"', "9007199254740992", "CASH"])
def test_no_other_literal_is_an_amount(api: Api, sandbox: Sandbox, literal: str) -> None:
    document = f"query {{ limitPreview(method: CASH, amount: {literal}) {{ allowed }} }}"
    with without_effect(api, sandbox, audit=0):
        answer = api.execute(document, token=api.token("NV002"))
    check_top(answer, "BAD_USER_INPUT")


def test_an_exponent_in_json_is_no_amount(api: Api) -> None:
    body = json.dumps(
        {
            "query": (
                "query ($amount: Amount!) { limitPreview(method: CASH, amount: $amount)"
                " { allowed } }"
            ),
            "variables": {"amount": "THE_AMOUNT"},
        }
    ).replace('"THE_AMOUNT"', "2e5")
    answer = api.http.post(
        "/graphql",
        content=body,
        headers={
            "content-type": "application/json",
            "authorization": f"Bearer {api.token('NV002')}",
        },
    ).json()
    check_top(answer, "BAD_USER_INPUT")


@pytest.mark.parametrize("missing", ["idempotencyKey", "contractNumber", "method", "items"])
def test_a_required_input_is_required(api: Api, sandbox: Sandbox, missing: str) -> None:
    given = {"idempotencyKey": key(), "method": "CASH"} | KNOWN
    del given[missing]
    with without_effect(api, sandbox, audit=0):
        answer = api.execute(PROCESS, {"input": given}, token=api.token("NV002"))
    check_top(answer, "BAD_USER_INPUT")


@pytest.mark.parametrize("change", [{"method": "BITCOIN"}, {"method": "cash"}, {"tip": 5}])
def test_an_unknown_input_is_refused(api: Api, sandbox: Sandbox, change: dict[str, Any]) -> None:
    given = {"idempotencyKey": key(), "method": "CASH"} | KNOWN | change
    with without_effect(api, sandbox, audit=0):
        answer = api.execute(PROCESS, {"input": given}, token=api.token("NV002"))
    check_top(answer, "BAD_USER_INPUT")


# ── refusals of queries ──────────────────────────────────────────────────────────────────────────

PAGE = """
query ($first: Int, $after: String, $orderBy: PaymentOrder, $filter: PaymentFilter) {
  payments(first: $first, after: $after, orderBy: $orderBy, filter: $filter) { totalCount } }
"""


def _cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()


BAD_PAGES: dict[str, tuple[dict[str, Any], str]] = {
    "first: 0": ({"first": 0}, "INVALID_INPUT"),
    "first: -1": ({"first": -1}, "INVALID_INPUT"),
    "first: 101": ({"first": 101}, "QUERY_TOO_EXPENSIVE"),
    "a cursor that is none": ({"after": "garbage"}, "INVALID_INPUT"),
    "a cursor in letters of ours": ({"after": "đ"}, "INVALID_INPUT"),
    "a cursor of another order": (
        {"after": _cursor("CREATED_ASC", "2026-01-01T00:00:00+00:00", "TXN_1")},
        "INVALID_INPUT",
    ),
    "a cursor with too large a number": (
        {
            "after": _cursor("AMOUNT_ASC", 10**30, "2026-01-01T00:00:00+00:00", "TXN_1"),
            "orderBy": "AMOUNT_ASC",
        },
        "INVALID_INPUT",
    ),
    "a cursor that is a number": ({"after": "NQ=="}, "INVALID_INPUT"),
    "an order that does not exist": ({"orderBy": "NAME"}, "BAD_USER_INPUT"),
}


@both_languages
@pytest.mark.parametrize(("given", "code"), BAD_PAGES.values(), ids=BAD_PAGES)
def test_a_page_that_does_not_exist_is_refused(
    api: Api, sandbox: Sandbox, given: dict[str, Any], code: str, language: str
) -> None:
    with without_effect(api, sandbox, audit=0):
        answer = api.execute(PAGE, given, token=api.token("NV002"), language=language)
    check_top(answer, code, language)


@pytest.mark.parametrize(
    "filter",
    [
        {"createdFrom": "2026-01-01T00:00:00"},
        {"search": "nul\u0000"},
        {"contractNumber": "nul\u0000"},
        {"gatewayReference": "nul\u0000"},
        {"staffId": "nul\u0000"},
    ],
    ids=repr,
)
def test_an_odd_filter_is_no_fault_of_ours(api: Api, filter: dict[str, Any]) -> None:
    answer = api.execute(PAGE, {"filter": filter}, token=api.token("NV002"))
    codes = {item["extensions"]["code"] for item in answer.get("errors", [])}
    assert codes <= {"BAD_USER_INPUT"}, answer


CURSOR_WITH_NUL = _cursor("CREATED_DESC", "2026-01-01T00:00:00+00:00", "T" + chr(0))
WITH_NUL: dict[str, str] = {
    "payment": '{ payment(id: "TXN\\u0000") { id } }',
    "limits": '{ limits(staffId: "N\\u0000") { kind } }',
    "verify": 'mutation { verifyPayment(id: "T\\u0000") { errors { code } } }',
    "cancel": 'mutation { cancelPayment(id: "T\\u0000", reason: "why") { errors { code } } }',
    "cursor": f'{{ payments(after: "{CURSOR_WITH_NUL}") {{ totalCount }} }}',
}


@pytest.mark.parametrize("document", WITH_NUL.values(), ids=WITH_NUL)
def test_a_character_that_no_text_may_contain_is_bad_input(api: Api, document: str) -> None:
    check_top(api.execute(document, token=api.token("SV001")), "BAD_USER_INPUT")


UNKNOWN: dict[str, str] = {
    "a payment": f'{{ payment(id: "TXN_UNKNOWN") {{ {PAYMENT} }} }}',
    "a customer": '{ customer(contractNumber: "SGFDN9") { name } }',
    "a customer by a path": '{ customer(contractNumber: "../../staff") { name } }',
    "a bill": '{ bill(contractNumber: "SGFDN1015", billNumber: "U0") { amount } }',
    "another contract's bill": (
        f'{{ bill(contractNumber: "SGFDN2001", billNumber: "{BILL}") {{ amount }} }}'
    ),
    "a member of staff": '{ limits(staffId: "NOBODY") { kind } }',
}


@both_languages
@pytest.mark.parametrize("document", UNKNOWN.values(), ids=UNKNOWN)
def test_what_does_not_exist_is_not_found(
    api: Api, sandbox: Sandbox, document: str, language: str
) -> None:
    with without_effect(api, sandbox, audit=0):
        answer = api.execute(document, token=api.token("SV001"), language=language)
    check_top(answer, "NOT_FOUND", language)
