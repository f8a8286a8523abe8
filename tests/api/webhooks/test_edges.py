"""Unusual calls of gateways: a slash at the path's end, and empty parts."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from domain.gateways import Call
from resolvers import webhooks
from tests.support.gateways.callers import CALLERS, Caller, new_notice, send, trust_paypal_signer
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

BY_PATH = {gateway.path: gateway for gateway in CALLERS}
every_gateway = pytest.mark.parametrize("path", BY_PATH)
ACCEPTED = {200, 204}
# The body's field with the signature, of gateways that send it neither in a header nor in a query.
SIGNATURE_FIELDS = {"momo": "signature"}


@pytest.fixture(autouse=True)
def quarantine_emptied(api: Api) -> None:
    """Empty the small quarantine, so that it has room for each test's calls."""
    trust_paypal_signer(api)
    webhooks._quarantined.clear()


def fields_of_success(api: Api, gateway: Caller) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return an open payment, and the fields of its gateway's call about a success."""
    payment = api.new_payment(method=gateway.method)
    reference = payment["gatewayReference"]
    (row,) = api.rows("select amount from attempt where reference = $1", reference)
    return payment, gateway.fields(new_notice(reference, row["amount"]))


def signed(gateway: Caller, fields: dict[str, Any]) -> Call:
    return gateway.sign(fields, datetime.now(UTC))


def body_with_signature(path: str, call: Call, signature: str) -> bytes:
    """Return the body with another signature; unchanged where the body has none."""
    name = SIGNATURE_FIELDS.get(path)
    return (
        call.body
        if name is None
        else json.dumps(json.loads(call.body) | {name: signature}).encode()
    )


def status(api: Api, payment: dict[str, Any]) -> str:
    (row,) = api.rows("select status from payment where id = $1", payment["id"])
    return row["status"]


# A slash at the end


def send_to(api: Api, path: str, call: Call) -> httpx.Response:
    address = f"/webhooks/{path}" + (f"?{call.query}" if call.query else "")
    return api.http.request(
        call.method, address, content=call.body, headers=dict(call.headers), follow_redirects=False
    )


@every_gateway
def test_a_path_with_a_slash_at_its_end_is_the_same_path(api: Api, path: str) -> None:
    gateway = BY_PATH[path]
    payment, fields = fields_of_success(api, gateway)
    call = signed(gateway, fields)
    for address in (f"{path}/", path, f"{path}/"):
        assert send_to(api, address, call).status_code in ACCEPTED
    assert status(api, payment) == "SUCCESS"
    rows = api.rows(
        "select path, deliveries, outcome from webhook_event where reference = $1",
        payment["gatewayReference"],
    )
    assert [tuple(row) for row in rows] == [(path, 3, "HANDLED")]


@every_gateway
def test_a_forged_call_with_a_slash_is_in_quarantine_under_its_path(api: Api, path: str) -> None:
    gateway = BY_PATH[path]
    call = signed(gateway, fields_of_success(api, gateway)[1])
    body = body_with_signature(path, call, "0")
    forged = replace(call, query=call.query + "0", body=body, headers={})
    assert send_to(api, f"{path}/", forged).status_code in {200, 400, 401}
    (row,) = api.rows("select path, outcome from webhook_event order by received_at desc limit 1")
    assert tuple(row) == (path, "BAD_SIGNATURE")


@pytest.mark.parametrize("path", ["", "/", "stripe//", "/stripe", "stripe/x/", "bank/", "cash/"])
def test_other_paths_are_not_found(api: Api, path: str) -> None:
    before = api.dump()
    assert api.http.post(f"/webhooks/{path}", json={}).status_code == 404
    assert api.dump() == before


def test_a_wrong_method_is_405_there_too(api: Api) -> None:
    answer = api.http.get("/webhooks/stripe/")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# Empty parts


# The optional parts of each gateway's call, by their paths.
OPTIONAL = {
    "vnpay": ["vnp_BankCode", "vnp_OrderInfo", "vnp_BankTranNo", "vnp_CardType", "vnp_PayDate"],
    "fpt-pay": ["reason", "paid_at"],
    "momo": ["orderInfo", "message", "payType", "extraData", "orderType"],
    "stripe": ["data.object.url", "data.object.customer", "data.object.metadata"],
    "paypal": ["resource.supplementary_data", "resource.invoice_id", "summary"],
    "bank/casso": ["data.virtualAccountNumber", "data.virtualAccountName", "data.reference"],
    "bank/sepay": ["subAccount", "code", "description", "referenceCode"],
}
OBJECTS = {"data.object.metadata", "resource.supplementary_data"}
# These sign a text, in which null has no notation.
TEXTS_ONLY = {"vnpay", "momo"}


def test_every_gateway_has_optional_parts_here() -> None:
    assert set(OPTIONAL) == set(BY_PATH)


def put(fields: dict[str, Any], place: str, value: object) -> None:
    *way, name = place.split(".")
    for step in way:
        fields = fields[step]
    fields[name] = value


@pytest.mark.parametrize(
    ("path", "empty"),
    [(path, "") for path in OPTIONAL]
    + [(path, None) for path in OPTIONAL if path not in TEXTS_ONLY],
)
def test_an_empty_optional_part_of_a_call_is_absent(api: Api, path: str, empty: str | None) -> None:
    gateway = BY_PATH[path]
    payment, fields = fields_of_success(api, gateway)
    for place in OPTIONAL[path]:
        put(fields, place, {} if place in OBJECTS and empty == "" else empty)
    assert send(api, gateway, signed(gateway, fields)).status_code in ACCEPTED
    assert status(api, payment) == "SUCCESS"


def test_a_null_in_a_call_of_vnpays_that_is_json_is_absent(api: Api) -> None:
    gateway = BY_PATH["vnpay"]
    payment, fields = fields_of_success(api, gateway)
    signature = dict(parse_qsl(signed(gateway, fields).query))["vnp_SecureHash"]
    body = fields | {"vnp_SecureHash": signature, "vnp_CardType": None, "vnp_BankTranNo": ""}
    answer = api.http.post("/webhooks/vnpay", json=body)
    assert answer.json()["RspCode"] == "00"
    assert status(api, payment) == "SUCCESS"
    answer = api.http.post("/webhooks/vnpay", json=body | {"vnp_TxnRef": None})
    assert answer.json()["RspCode"] == "97"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("stripe", "data.object.client_reference_id"),
        ("paypal", "resource.custom_id"),
    ],
)
def test_an_empty_reference_is_stale_money_of_others(api: Api, path: str, place: str) -> None:
    gateway = BY_PATH[path]
    for empty in (None, ""):
        fields = gateway.fields(new_notice("MB" + "0" * 18, 200_000))
        put(fields, place, empty)
        assert send(api, gateway, signed(gateway, fields)).status_code == 200
        (row,) = api.rows(
            "select outcome, reference from webhook_event order by received_at desc limit 1"
        )
        assert tuple(row) == ("STALE", None)


@every_gateway
def test_an_empty_signature_is_refused(api: Api, path: str) -> None:
    gateway = BY_PATH[path]
    payment, fields = fields_of_success(api, gateway)
    call = signed(gateway, fields)
    headers = {
        name: "" if name.lower().endswith(("signature", "-sig")) else value
        for name, value in call.headers.items()
    }
    query, _, _ = call.query.partition("&vnp_SecureHash=")
    body = body_with_signature(path, call, "")
    unsigned = replace(call, headers=headers, body=body, query=query and f"{query}&vnp_SecureHash=")
    answer = send(api, gateway, unsigned)
    assert answer.status_code in {400, 401} or answer.json()["RspCode"] == "97"
    assert status(api, payment) == "PROCESSING"
