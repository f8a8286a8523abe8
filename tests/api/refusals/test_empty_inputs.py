"""An optional input that is empty or null is ignored; an empty required input is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLID,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLString,
    Undefined,
)

from schema.root import schema
from tests.support.refusals import without_effect
from tests.support.requests.hand_ins import submit
from tests.support.requests.orders import CREATE, PAY, created, shop
from tests.support.requests.reversals import refund
from tests.support.running_api import Api, Sandbox, Socket, key

pytest_plugins = ["tests.support.running_api"]

__all__ = ["shop"]

PAGE = (
    "query ($filter: PaymentFilter, $after: String) { payments(filter: $filter, after: $after)"
    " { edges { node { id } } } }"
)
PROCESS = (
    "mutation ($input: ProcessPaymentInput!) { processPayment(input: $input) { payment { id }"
    " replayed errors { code ... on InvalidInput { field } } } }"
)
CHANGED = "subscription ($filter: PaymentFilter) { paymentChanged(filter: $filter) { id } }"
LISTS = {
    "Query.payments(after)": "($x: String) { payments(after: $x, first: 3) { edges { cursor } } }",
    "Query.payments(before)": "($x: String) { payments(before: $x, last: 3) { edges { cursor } } }",
    "Query.cases(after)": "($x: String) { cases(after: $x) { edges { cursor } } }",
    "Query.cases(before)": "($x: String) { cases(before: $x, last: 3) { edges { cursor } } }",
    "Query.handIns(after)": "($x: String) { handIns(after: $x) { edges { cursor } } }",
    "Query.handIns(before)": "($x: String) { handIns(before: $x, last: 3) { edges { cursor } } }",
    "Query.handIns(staffId)": "($x: ID) { handIns(staffId: $x) { edges { cursor } } }",
    "Query.webhookEvents(after)": (
        "($x: String) { webhookEvents(outcome: HANDLED, after: $x) { edges { cursor } } }"
    ),
    "Query.webhookEvents(before)": (
        "($x: String) { webhookEvents(outcome: HANDLED, before: $x, last: 3) { edges { cursor } } }"
    ),
}
FILTERS = ["contractNumber", "gatewayReference", "orderId", "search", "staffId"]
FILTER_LISTS = ["status", "method", "custody"]
EMPTY_FILTER: dict[str, Any] = {
    **dict.fromkeys(FILTERS, ""),
    **{name: [] for name in FILTER_LISTS},
}
OPTIONAL_TEXTS = {
    *LISTS,
    *(f"PaymentFilter.{name}" for name in FILTERS),
    "HandInInput.note",
    "CreateOrderInput.description",
    "PayOrderInput.returnUrl",
    "PayOrderInput.paymentToken",
    "ProcessPaymentInput.customerPhone",
    "ProcessPaymentInput.paymentToken",
}


def inputs() -> Iterator[tuple[str, GraphQLInputField | GraphQLArgument]]:
    """Yield each argument and input field of the schema with its coordinate."""
    for type_ in schema._schema.type_map.values():
        if type_.name.startswith("__"):
            continue
        if isinstance(type_, GraphQLInputObjectType):
            for name, field in type_.fields.items():
                yield f"{type_.name}.{name}", field
        elif isinstance(type_, GraphQLObjectType):
            for name, output in type_.fields.items():
                for argument, input_ in output.args.items():
                    yield f"{type_.name}.{name}({argument})", input_


def test_null_means_the_default() -> None:
    strict = [
        coordinate
        for coordinate, input_ in inputs()
        if isinstance(input_.type, GraphQLNonNull) and input_.default_value is not Undefined
    ]
    assert strict == []


def test_every_optional_text_is_listed_here() -> None:
    texts = {name for name, input_ in inputs() if input_.type in (GraphQLString, GraphQLID)}
    assert texts == OPTIONAL_TEXTS


@pytest.fixture(scope="module")
def present(api: Api) -> list[str]:
    """Add two payments and a hand-in; return the payments' ids."""
    paid = [api.new_payment("NV002"), api.new_payment("NV002", method="VNPAY_QR")]
    submit(api, "NV002", paid[0]["amount"])
    return [item["id"] for item in paid]


@pytest.mark.usefixtures("present")
@pytest.mark.parametrize("document", LISTS.values(), ids=LISTS)
def test_an_empty_cursor_or_owner_is_the_same_as_none(api: Api, document: str) -> None:
    token = api.token("FI001")
    whole = api.execute(f"query {document}", {}, token=token)
    assert not whole.get("errors"), whole
    for empty in ("", " ", "\u200b", None):
        assert api.execute(f"query {document}", {"x": empty}, token=token) == whole


@pytest.mark.parametrize(
    "filter",
    [
        *({name: blank} for name in FILTERS for blank in ("", " \t", "\u200b")),
        *({name: []} for name in FILTER_LISTS),
        {"createdFrom": "", "createdTo": ""},
        EMPTY_FILTER,
        dict.fromkeys([*FILTERS, *FILTER_LISTS, "createdFrom", "minAmount", "needsVerification"]),
    ],
    ids=str,
)
def test_an_empty_part_of_a_filter_excludes_nothing(
    api: Api, present: list[str], filter: dict[str, Any]
) -> None:
    token = api.token("NV002")
    page = api.get(PAGE, {"filter": filter}, token=token)
    assert set(present) <= {edge["node"]["id"] for edge in page["edges"]}


def test_a_watcher_with_an_empty_filter_sees_every_change(api: Api) -> None:
    with Socket(api, api.token("NV002")) as socket:
        socket.subscribe(CHANGED, {"filter": EMPTY_FILTER})
        socket.send(type="subscribe", id="2", payload={"query": "{ me { staffId } }"})
        assert socket.next()["id"] == "2"
        assert socket.next()["type"] == "complete"
        paid = api.new_payment("NV002")
        assert socket.next()["payload"]["data"] == {"paymentChanged": {"id": paid["id"]}}


@pytest.mark.parametrize(
    "empty",
    [
        {"customerPhone": ""},
        {"customerPhone": " \u200b"},
        {"customerPhone": None, "notify": None, "paymentToken": None},
        {"notify": {"hifpt": None, "smsZalo": None, "email": None}},
    ],
    ids=str,
)
def test_empty_notification_wishes_are_the_same_payment_as_none(
    api: Api, empty: dict[str, Any]
) -> None:
    contract = api.contract()
    plain = {
        "idempotencyKey": key(),
        "contractNumber": contract,
        "method": "CASH",
        "items": api.owed(contract)[:1],
    }
    first = api.get(PROCESS, {"input": plain | empty}, token=api.token("NV002"))
    again = api.get(PROCESS, {"input": plain}, token=api.token("NV002"))
    assert first["errors"] == []
    assert again == {"payment": first["payment"], "replayed": True, "errors": []}
    (row,) = api.rows("select notify from payment where id = $1", first["payment"]["id"])
    assert '"sms": true' in row["notify"]


@pytest.mark.parametrize(
    "empty", [{"description": None}, {"description": "", "currency": None}, {"description": " "}]
)
def test_an_order_of_empty_parts_is_the_same_as_without(
    api: Api, shop: str, empty: dict[str, Any]
) -> None:
    plain = {"idempotencyKey": key(), "reference": key(), "amount": 120_000}
    first = api.get(CREATE, {"input": plain | empty}, token=shop)
    again = api.get(CREATE, {"input": plain}, token=shop)
    assert first["order"]["currency"] == "VND"
    assert (again["order"], again["replayed"]) == (first["order"], True)


@pytest.mark.parametrize("empty", ["", " ", None])
def test_an_order_is_paid_without_an_address_to_return_to(
    api: Api, shop: str, empty: str | None
) -> None:
    order = created(api, shop)["order"]
    plain = {
        "idempotencyKey": key(),
        "orderId": order["id"],
        "amount": order["amount"],
        "method": "VNPAY_QR",
    }
    first = api.get(PAY, {"input": plain | {"returnUrl": empty}}, token=shop)
    again = api.get(PAY, {"input": plain}, token=shop)
    assert first["errors"] == []
    assert (again["payment"]["id"], again["replayed"]) == (first["payment"]["id"], True)


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_an_empty_note_is_none(api: Api, empty: str | None) -> None:
    staff = api.collector()
    paid = api.new_payment(staff)
    assert submit(api, staff, paid["amount"], note=empty)["handIn"]["note"] is None


def test_a_refund_is_of_the_payment_by_default(api: Api, sandbox: Sandbox) -> None:
    paid = api.new_payment("NV002", method="VNPAY_QR")
    sandbox.pay(reference=paid["gatewayReference"], outcome="paid")
    api.get(
        f'mutation {{ verifyPayment(id: "{paid["id"]}") {{ errors {{ code }} }} }}',
        token=api.token("NV002"),
    )
    payload = refund(api, paid, of=None)
    assert payload["errors"] == []
    assert payload["reversal"]["kind"] == "REFUND"


def test_a_page_size_of_null_is_the_default(api: Api) -> None:
    document = (
        'query ($n: Int) { reconciliation(gateway: VNPAY, date: "2026-03-04") { lines(first: $n)'
        " { reference } } }"
    )
    assert api.get(document, {"n": None}, token=api.token("FI001")) == {"lines": []}
    document = (
        'query ($n: Int) { customer(contractNumber: "SGFDN1015") { paymentHistory(first: $n)'
        " { amount } } }"
    )
    whole = api.get(document, {}, token=api.token("NV001"))
    assert api.get(document, {"n": None}, token=api.token("NV001")) == whole


REQUIRED: dict[str, dict[str, Any]] = {
    "a key": {"idempotencyKey": ""},
    "a card's token": {"method": "CARD", "paymentToken": ""},
    "a token where none goes": {"paymentToken": ""},
}


@pytest.mark.parametrize("but", REQUIRED.values(), ids=REQUIRED)
def test_a_required_input_is_refused_where_it_is_empty(
    api: Api, sandbox: Sandbox, shop: str, but: dict[str, Any]
) -> None:
    contract = api.contract()
    bill = {
        "idempotencyKey": key(),
        "contractNumber": contract,
        "method": "CASH",
        "items": api.owed(contract)[:1],
    }
    order = created(api, shop)["order"]
    sale = {
        "idempotencyKey": key(),
        "orderId": order["id"],
        "amount": order["amount"],
        "method": "VNPAY_QR",
    }
    token = api.token("NV002")
    for document, given, who in ((PROCESS, bill, token), (PAY, sale, shop)):
        with without_effect(api, sandbox, audit=1):
            payload = api.get(document, {"input": given | but}, token=who)
        assert [error["code"] for error in payload["errors"]] == ["INVALID_INPUT"]
        assert payload["errors"][0]["field"] in but
