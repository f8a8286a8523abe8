"""The public receipt: for anyone who has its address, and for nobody else; its signature can be checked."""

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
    return api.paid()


def path(payment: dict[str, Any]) -> str:
    return "/pay/" + payment["confirmationLink"].rpartition("/")[2]


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def verifies(api: Api, receipt: dict[str, str]) -> bool:
    """Check a receipt as a stranger would: with what is published, and nothing else."""
    keys = api.http.get("/.well-known/jwks.json").json()["keys"]
    key = next(item for item in keys if item["kid"] == receipt["key_id"])
    public = Ed25519PublicKey.from_public_bytes(raw(key["x"]))
    try:
        public.verify(raw(receipt["value"]), receipt["payload"].encode())
    except InvalidSignature:
        return False
    return True


def test_the_receipt_swears_to_the_payment_and_anyone_can_check_it(
    api: Api, paid: dict[str, Any]
) -> None:
    receipt = api.http.get(path(paid), headers=JSON).json()
    assert receipt["algorithm"] == "Ed25519"
    assert verifies(api, receipt)
    sworn = json.loads(receipt["payload"])
    assert (sworn["transaction_id"], sworn["status"]) == (paid["id"], "SUCCESS")
    assert (sworn["amount"], sworn["contract_number"]) == (paid["amount"], paid["contractNumber"])
    text = json.dumps(sworn, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert text == receipt["payload"], "the signed text is canonical"


@pytest.mark.parametrize("part", ["amount", "status", "transaction_id", "completed_at"])
def test_a_receipt_that_was_tampered_with_does_not_verify(
    api: Api, paid: dict[str, Any], part: str
) -> None:
    receipt = api.http.get(path(paid), headers=JSON).json()
    sworn = json.loads(receipt["payload"])
    sworn[part] = 1 if part == "amount" else "2026-01-01T00:00:00+00:00"
    text = json.dumps(sworn, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
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


def test_who_can_make_a_token_cannot_make_a_receipt(api: Api, paid: dict[str, Any]) -> None:
    keys = api.context.keys
    receipt = api.http.get(path(paid), headers=JSON).json()
    assert receipt["key_id"] == keys.receipts.signing.id
    assert keys.tokens.find(receipt["key_id"]) is None
    assert keys.receipts.find(keys.tokens.signing.id) is None


def test_the_page_says_what_was_paid_in_vietnamese(api: Api, paid: dict[str, Any]) -> None:
    page = api.http.get(path(paid), headers={"accept": "text/html"})
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    for said in (paid["id"], paid["contractNumber"], "Đã thanh toán", "jwks.json"):
        assert said in page.text
    assert f"{paid['amount']:,} đ".replace(",", ".") in page.text


def test_the_page_shows_text_and_never_markup(api: Api) -> None:
    """Names come from other systems: whatever they hold is text here."""
    payment = api.paid()
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


def test_the_page_runs_nothing_tells_nobody_its_address_and_is_framed_by_no_one(
    api: Api, paid: dict[str, Any]
) -> None:
    for address in (path(paid), "/pay/nothing"):
        headers = api.http.get(address, headers={"accept": "text/html"}).headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        policy = headers["content-security-policy"]
        assert {"default-src 'none'", "frame-ancestors 'none'"} <= set(policy.split("; "))
        assert "script" not in policy


def test_every_method_and_status_has_its_word_on_the_page() -> None:
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


def test_what_is_not_yet_paid_is_not_sworn_to_be(api: Api) -> None:
    waiting = api.paid(method="VNPAY_QR")
    receipt = api.http.get(path(waiting), headers=JSON).json()
    assert verifies(api, receipt)
    assert json.loads(receipt["payload"])["status"] == "PROCESSING"
    assert "Đã thanh toán" not in api.http.get(path(waiting)).text


def test_a_final_payment_is_sworn_to_once_and_no_later_key_or_change_signs_it_again(
    api: Api, paid: dict[str, Any]
) -> None:
    before = api.http.get(path(paid), headers=JSON).json()
    another = KeyRing([derive_key(b"another", "receipts")])
    context = api.context
    api.app.state.context = replace(context, keys=replace(context.keys, receipts=another))
    try:
        api.rows("update payment set version = version + 1 where id = $1", paid["id"])
        assert api.http.get(path(paid), headers=JSON).json() == before
        by = api.http.get(path(api.paid()), headers=JSON).json()["key_id"]
    finally:
        api.app.state.context = context
    assert by == another.signing.id


def test_the_audit_trail_carries_the_hash_of_what_was_sworn_to(
    api: Api, paid: dict[str, Any]
) -> None:
    receipt = api.http.get(path(paid), headers=JSON).json()
    (row,) = api.rows(
        "select details from audit_event where payment_id = $1 and details ? 'record'", paid["id"]
    )
    digest = hashlib.sha256(receipt["payload"].encode()).hexdigest()
    assert json.loads(row["details"])["record"] == digest


def test_a_cancelled_payment_is_sworn_to_as_well(api: Api, sandbox: Sandbox) -> None:
    waiting = api.paid(method="VNPAY_QR")
    cancelled = api.get(CANCEL, {"id": waiting["id"], "reason": "the customer left"}, token=api.token("NV002"))  # fmt: skip
    assert cancelled["payment"]["status"] == "CANCELLED", cancelled
    receipt = api.http.get(path(waiting), headers=JSON).json()
    assert verifies(api, receipt)
    rows = api.rows("select payload from payment_record where payment = $1", waiting["id"])
    assert [row["payload"] for row in rows] == [receipt["payload"]]
    assert json.loads(receipt["payload"])["status"] == "CANCELLED"


def test_what_was_undone_since_is_said_beside_what_was_sworn_to(api: Api) -> None:
    """A collector who voids the cash after showing the receipt is found out by whoever opens it."""
    paid = api.paid("NV002")
    before = api.http.get(path(paid), headers=JSON).json()
    assert before["given_back"] == 0
    assert void(api, paid, "NV002")["errors"] == []
    after = api.http.get(path(paid), headers=JSON).json()
    assert after == before | {"given_back": paid["amount"]}
    page = api.http.get(path(paid), headers={"accept": "text/html"}).text
    assert "Đã huỷ hoặc hoàn lại toàn bộ" in page


def test_the_signatures_of_a_page_are_read_by_one_statement(api: Api) -> None:
    payments = [api.paid() for _ in range(3)]
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
