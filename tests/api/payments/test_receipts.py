"""The public receipt: who can open it, and how its signature is verified."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from domain.bills import ItemType
from domain.methods import PaymentMethod
from domain.payments import PaymentStatus
from integrations.keys import KeyRing, derive_key
from schema.web.receipts import ITEM_LABELS, METHOD_LABELS, STATUS_LABELS
from tests.support.requests.reversals import void
from tests.support.running_api import CANCEL, Api, Sandbox, statements

pytest_plugins = ["tests.support.running_api"]

JSON = {"accept": "application/json"}


@pytest.fixture(scope="module")
def paid(api: Api) -> dict[str, Any]:
    return api.new_payment()


def path(payment: dict[str, Any]) -> str:
    return "/pay/" + payment["confirmationLink"].rpartition("/")[2]


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verifies(api: Api, receipt: dict[str, str]) -> bool:
    """Verify a receipt with nothing but the published keys."""
    keys = api.http.get("/.well-known/jwks.json").json()["keys"]
    key = next(item for item in keys if item["kid"] == receipt["key_id"])
    public = Ed25519PublicKey.from_public_bytes(raw(key["x"]))
    try:
        public.verify(raw(receipt["value"]), receipt["payload"].encode())
    except InvalidSignature:
        return False
    return True


def test_the_receipt_is_signed_and_anyone_can_verify_it(api: Api, paid: dict[str, Any]) -> None:
    receipt = api.http.get(path(paid), headers=JSON).json()
    assert receipt["algorithm"] == "Ed25519"
    assert verifies(api, receipt)
    record = json.loads(receipt["payload"])
    assert (record["transaction_id"], record["status"]) == (paid["id"], "SUCCESS")
    assert (record["amount"], record["contract_number"]) == (paid["amount"], paid["contractNumber"])
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert text == receipt["payload"], "the signed text is canonical"


@pytest.mark.parametrize("part", ["amount", "status", "transaction_id", "completed_at"])
def test_a_receipt_that_was_tampered_with_does_not_verify(
    api: Api, paid: dict[str, Any], part: str
) -> None:
    receipt = api.http.get(path(paid), headers=JSON).json()
    record = json.loads(receipt["payload"])
    record[part] = 1 if part == "amount" else "2026-01-01T00:00:00+00:00"
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert not verifies(api, receipt | {"payload": text})
    assert not verifies(api, receipt | {"payload": receipt["payload"] + " "})


def test_the_api_shows_the_same_signature(api: Api, paid: dict[str, Any]) -> None:
    receipt = api.http.get(path(paid), headers=JSON).json()
    shown = api.get(
        "query ($id: ID!) { payment(id: $id) { signature { algorithm keyId value payload } } }",
        {"id": paid["id"]},
        token=api.token("NV002"),
    )["signature"]
    assert json.loads(shown["payload"])["transaction_id"] == paid["id"]
    assert shown["keyId"] == receipt["key_id"]
    assert verifies(api, {"key_id": shown["keyId"], **shown})


def test_the_key_of_tokens_cannot_sign_a_receipt(api: Api, paid: dict[str, Any]) -> None:
    keys = api.context.keys
    receipt = api.http.get(path(paid), headers=JSON).json()
    assert receipt["key_id"] == keys.receipts.signing.id
    assert keys.tokens.find(receipt["key_id"]) is None
    assert keys.receipts.find(keys.tokens.signing.id) is None


def test_the_page_shows_the_payment_in_vietnamese(api: Api, paid: dict[str, Any]) -> None:
    page = api.http.get(path(paid), headers={"accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    for text in (paid["id"], paid["contractNumber"], "Đã thanh toán", "jwks.json"):
        assert text in page.text
    assert f"{paid['amount']:,} đ".replace(",", ".") in page.text


def test_the_page_shows_text_and_never_markup(api: Api) -> None:
    """Names come from other systems, and are shown as text whatever they contain."""
    payment = api.new_payment()
    nasty = "<script>alert(1)</script>"
    for table, column, where in (
        ("staff", "name", "staff_id = $2"),
        ("payment", "customer_name", "id = $2"),
    ):
        about = payment["staff"]["staffId"] if table == "staff" else payment["id"]
        api.rows(f"update {table} set {column} = $1 where {where}", nasty, about)
    page = api.http.get(path(payment)).text
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_the_page_runs_no_script_sends_no_referrer_and_cannot_be_framed(
    api: Api, paid: dict[str, Any]
) -> None:
    for address in (path(paid), "/pay/nothing"):
        headers = api.http.get(address, headers={"accept": "text/html"}).headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        policy = headers["content-security-policy"]
        assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
        assert "script" not in policy


def test_every_method_and_status_has_a_label_on_the_page() -> None:
    assert set(METHOD_LABELS) == set(PaymentMethod)
    assert set(STATUS_LABELS) == set(PaymentStatus)
    assert set(ITEM_LABELS) == set(ItemType)


@pytest.mark.parametrize("accept", ["text/html", "application/json"])
@pytest.mark.parametrize("token", ["unknown", "a" * 27, "%00", "<script>alert(1)</script>"])
def test_an_address_that_was_guessed_opens_nothing(api: Api, token: str, accept: str) -> None:
    answer = api.http.get(f"/pay/{token}", headers={"accept": accept})
    assert answer.status_code == 404
    if accept == "application/json" and "/" not in token:
        assert answer.json()["error"]["code"] == "NOT_FOUND"
    assert "<script" not in answer.text


def test_the_address_has_at_least_128_bits_and_is_not_the_payments_number(
    api: Api, paid: dict[str, Any]
) -> None:
    token = path(paid).removeprefix("/pay/")
    assert len(raw(token)) >= 16
    assert token not in paid["id"]
    assert api.http.get(f"/pay/{paid['id']}").status_code == 404


def test_an_open_payment_is_not_signed(api: Api) -> None:
    waiting = api.new_payment(method="VNPAY_QR")
    receipt = api.http.get(path(waiting), headers=JSON).json()
    assert verifies(api, receipt)
    assert json.loads(receipt["payload"])["status"] == "PROCESSING"
    assert "Đã thanh toán" not in api.http.get(path(waiting)).text


def test_a_final_payment_is_signed_once_and_not_again_after_a_new_key_or_a_change(
    api: Api, paid: dict[str, Any]
) -> None:
    before = api.http.get(path(paid), headers=JSON).json()
    another = KeyRing([derive_key(b"another", "receipts")])
    context = api.context
    api.app.state.context = replace(context, keys=replace(context.keys, receipts=another))
    try:
        api.rows("update payment set version = version + 1 where id = $1", paid["id"])
        assert api.http.get(path(paid), headers=JSON).json() == before
        by = api.http.get(path(api.new_payment()), headers=JSON).json()["key_id"]
    finally:
        api.app.state.context = context
    assert by == another.signing.id


def test_the_audit_log_contains_the_hash_of_the_signed_record(
    api: Api, paid: dict[str, Any]
) -> None:
    receipt = api.http.get(path(paid), headers=JSON).json()
    (row,) = api.rows(
        "select details from audit_event where payment_id = $1 and details ? 'record'", paid["id"]
    )
    digest = hashlib.sha256(receipt["payload"].encode()).hexdigest()
    assert json.loads(row["details"])["record"] == digest


def test_a_cancelled_payment_is_signed_as_well(api: Api, sandbox: Sandbox) -> None:
    waiting = api.new_payment(method="VNPAY_QR")
    cancelled = api.get(
        CANCEL, {"id": waiting["id"], "reason": "the customer left"}, token=api.token("NV002")
    )
    assert cancelled["payment"]["status"] == "CANCELLED", cancelled
    receipt = api.http.get(path(waiting), headers=JSON).json()
    assert verifies(api, receipt)
    rows = api.rows("select payload from payment_record where payment = $1", waiting["id"])
    assert [row["payload"] for row in rows] == [receipt["payload"]]
    assert json.loads(receipt["payload"])["status"] == "CANCELLED"


def test_a_later_reversal_is_shown_with_the_signed_record(api: Api) -> None:
    """A receipt shows a void that happened after the customer had seen it."""
    paid = api.new_payment("NV002")
    before = api.http.get(path(paid), headers=JSON).json()
    assert before["given_back"] == 0
    assert void(api, paid, "NV002")["errors"] == []
    after = api.http.get(path(paid), headers=JSON).json()
    assert after == before | {"given_back": paid["amount"]}
    page = api.http.get(path(paid), headers={"accept": "text/html"}).text
    assert "Đã huỷ hoặc hoàn lại toàn bộ" in page


def test_the_signatures_of_a_page_are_read_by_one_statement(api: Api) -> None:
    payments = [api.new_payment() for _ in range(3)]
    token = api.token("NV002")
    page = (
        "query ($n: Int!) { payments(first: $n) { edges { node { id signature { payload } } } } }"
    )
    api.get(page, {"n": 3}, token=token)
    with statements() as sent:
        found = api.get(page, {"n": 3}, token=token)
    assert {edge["node"]["id"] for edge in found["edges"]} == {
        payment["id"] for payment in payments
    }
    assert len([sql for sql in sent.seen if "payment_record" in sql]) == 1
