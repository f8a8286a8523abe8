"""PayPal for a merchant: tokens, orders, captures, refunds, error issues and signed webhooks."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from starlette.responses import JSONResponse

from tests.support.sandbox.merchant import Merchant

US = ("sandbox-paypal-client", "sandbox-paypal-secret")


class PayPal:
    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        answer = client.post(
            "/paypal/v1/oauth2/token", data={"grant_type": "client_credentials"}, auth=US
        )
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def post(self, path: str, body: Any, key: str = "") -> httpx.Response:
        headers = self.headers | ({"PayPal-Request-Id": key} if key else {})
        return self.client.post(f"/paypal{path}", json=body, headers=headers)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(f"/paypal{path}", headers=self.headers)

    def create(self, key: str = "R1", **changes: Any) -> httpx.Response:
        amount = {"currency_code": "USD", "value": "7.70"}
        unit = {"custom_id": "R1", "invoice_id": "R1", "amount": amount} | changes
        return self.post(
            "/v2/checkout/orders", {"intent": "CAPTURE", "purchase_units": [unit]}, key
        )

    def capture(self, order: str, key: str = "C1") -> httpx.Response:
        return self.post(f"/v2/checkout/orders/{order}/capture", {}, key)

    def captured(self, play: Any, **act: Any) -> tuple[str, str]:
        """Return the ids of an order of 7.70 dollars and of its capture."""
        order = self.create().json()
        play(reference="R1", **act)
        (unit,) = self.capture(order["id"]).json()["purchase_units"]
        return order["id"], unit["payments"]["captures"][0]["id"]

    def refund(self, capture: str, value: str | None = None, key: str = "", **names: str) -> Any:
        amount = {"currency_code": "USD", "value": value}
        body = names if value is None else names | {"amount": amount}
        return self.post(f"/v2/payments/captures/{capture}/refund", body, key)


@pytest.fixture
def paypal(sandbox: httpx.Client) -> PayPal:
    return PayPal(sandbox)


def issue(answer: httpx.Response) -> str:
    return answer.json()["details"][0]["issue"]


def verified(paypal: PayPal, call: Any) -> bool:
    headers = call.headers
    path = headers["paypal-cert-url"].partition("/paypal/")[2]
    certificate = x509.load_pem_x509_certificate(paypal.client.get(f"/paypal/{path}").content)
    key = certificate.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    parts = (
        headers["paypal-transmission-id"],
        headers["paypal-transmission-time"],
        "SANDBOX-WEBHOOK",
        str(zlib.crc32(call.body)),
    )
    signature = base64.b64decode(headers["paypal-transmission-sig"])
    try:
        key.verify(signature, "|".join(parts).encode(), padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def test_an_order_is_approved_by_the_customer_and_captured_by_the_merchant(
    paypal: PayPal, merchant: Merchant, truth: Any
) -> None:
    order = paypal.create().json()
    assert order["status"] == "PAYER_ACTION_REQUIRED"
    page = order["links"][0]["href"]
    assert "7.70 USD" in paypal.client.get(page).text
    assert issue(paypal.capture(order["id"])) == "ORDER_NOT_APPROVED"
    paypal.client.post(page, data={"outcome": "paid"})
    [approved] = merchant.wait_for(1)
    assert verified(paypal, approved)
    assert json.loads(approved.body)["event_type"] == "CHECKOUT.ORDER.APPROVED"
    assert truth()["charges"][0]["status"] == "approved"
    assert paypal.get(f"/v2/checkout/orders/{order['id']}").json()["status"] == "APPROVED"
    captured = paypal.capture(order["id"]).json()
    (money,) = captured["purchase_units"][0]["payments"]["captures"]
    assert (captured["status"], money["status"]) == ("COMPLETED", "COMPLETED")
    assert money["amount"] == {"currency_code": "USD", "value": "7.70"}
    webhook = json.loads(merchant.wait_for(2)[1].body)
    assert (webhook["event_type"], webhook["resource"]["id"]) == (
        "PAYMENT.CAPTURE.COMPLETED",
        money["id"],
    )
    assert paypal.get(f"/v2/payments/captures/{money['id']}").json()["custom_id"] == "R1"
    (charge,) = truth()["charges"]
    assert (charge["status"], charge["amount"], charge["currency"]) == ("paid", 770, "USD")


def test_a_request_with_an_id_is_performed_once(paypal: PayPal, play: Any, truth: Any) -> None:
    order = paypal.create().json()
    assert paypal.create().json()["id"] == order["id"]
    assert paypal.create(key="R2").json()["id"] != order["id"]
    play(payment_url=order["links"][0]["href"])
    first = paypal.capture(order["id"])
    assert paypal.capture(order["id"]).content == first.content
    assert issue(paypal.capture(order["id"], "C2")) == "ORDER_ALREADY_CAPTURED"
    assert sorted(charge["status"] for charge in truth()["charges"]) == ["paid", "pending"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"amount": {"currency_code": "VND", "value": "200000.00"}}, "CURRENCY_NOT_SUPPORTED"),
        ({"amount": {"currency_code": "USD", "value": "0.00"}}, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ({"amount": {"currency_code": "USD", "value": "7.7"}}, "INVALID_PARAMETER"),
        ({"amount": {"currency_code": "USD", "value": 7.7}}, "INVALID_PARAMETER"),
        ({"amount": {"value": "7.70"}}, "INVALID_PARAMETER"),
        ({"custom_id": "R" * 256}, "INVALID_PARAMETER"),
        ({"description": "d" * 128}, "INVALID_PARAMETER"),
    ],
)
def test_an_invalid_order_is_refused_with_its_issue(
    paypal: PayPal, truth: Any, changes: Any, why: str
) -> None:
    answer = paypal.create(**changes)
    assert answer.status_code in (400, 422)
    assert issue(answer) == why
    assert truth()["charges"] == []


def test_a_request_without_a_valid_token_is_401(paypal: PayPal, truth: Any) -> None:
    form = {"grant_type": "client_credentials"}
    wrong = paypal.client.post("/paypal/v1/oauth2/token", data=form, auth=("us", "wrong"))
    assert wrong.status_code == 401
    for token in ("", "Bearer A21AA", f"{paypal.headers['Authorization'][:-1]}x"):
        paypal.headers = {"Authorization": token}
        assert paypal.create().status_code == 401
    assert truth()["charges"] == []


def test_an_unknown_order_is_not_found(paypal: PayPal) -> None:
    for path in ("/v2/checkout/orders/O1", "/v2/payments/captures/C1"):
        answer = paypal.get(path)
        assert (answer.status_code, answer.json()["name"]) == (404, "RESOURCE_NOT_FOUND")


def test_a_webhook_is_repeated_until_a_2xx_and_a_forged_one_is_not(
    paypal: PayPal, play: Any, merchant: Merchant
) -> None:
    answers = iter([JSONResponse({}, 500)])
    merchant.answer = lambda _: next(answers, JSONResponse({}))
    paypal.create()
    play(reference="R1")
    calls = merchant.wait_for(2)
    assert len({json.loads(call.body)["id"] for call in calls}) == 1
    play(reference="R1", bad_signature=True)
    assert not verified(paypal, merchant.wait_for(3)[2])


# Refunds


def test_a_capture_is_refunded_in_parts_and_lists_them(
    paypal: PayPal, play: Any, truth: Any, merchant: Merchant
) -> None:
    order, capture = paypal.captured(play)
    first = paypal.refund(capture, "2.50", "K1", custom_id="REV1", invoice_id="REV1")
    assert first.status_code == 201
    refund = first.json()
    assert (refund["status"], refund["custom_id"], refund["invoice_id"]) == (
        "COMPLETED",
        "REV1",
        "REV1",
    )
    assert refund["amount"] == {"currency_code": "USD", "value": "2.50"}
    assert paypal.get(f"/v2/payments/refunds/{refund['id']}").json() == refund
    whole = paypal.get(f"/v2/payments/captures/{capture}").json()
    assert whole["status"] == "PARTIALLY_REFUNDED"
    assert whole["supplementary_data"]["related_ids"]["order_id"] == order
    (unit,) = paypal.get(f"/v2/checkout/orders/{order}").json()["purchase_units"]
    assert unit["payments"]["refunds"] == [refund]
    rest = paypal.refund(capture, key="K2").json()
    assert rest["amount"]["value"] == "5.20", "without an amount the rest is refunded"
    assert paypal.get(f"/v2/payments/captures/{capture}").json()["status"] == "REFUNDED"
    assert [refund["amount"] for refund in truth()["refunds"]] == [250, 520]
    calls = [json.loads(call.body) for call in merchant.wait_for(4)]
    back = [call for call in calls if call["event_type"] == "PAYMENT.CAPTURE.REFUNDED"]
    assert {call["resource"]["id"] for call in back} == {refund["id"], rest["id"]}


def test_a_refund_is_made_once_for_each_request_id(paypal: PayPal, play: Any, truth: Any) -> None:
    _, capture = paypal.captured(play)
    first = paypal.refund(capture, "1.00", "K1", custom_id="REV1")
    again = paypal.refund(capture, "1.00", "K1", custom_id="REV1")
    assert (again.status_code, again.json()) == (200, first.json())
    other = paypal.refund(capture, "1.00", "K2", custom_id="REV1")
    assert (other.status_code, other.json()["custom_id"]) == (201, "REV1")
    assert [refund["amount"] for refund in truth()["refunds"]] == [100, 100]


def test_a_refund_to_a_bank_account_is_pending_at_first(
    paypal: PayPal, play: Any, merchant: Merchant
) -> None:
    _, capture = paypal.captured(play, reason="ECHECK")
    first = paypal.refund(capture, key="K1").json()
    assert (first["status"], first["status_details"]) == ("PENDING", {"reason": "ECHECK"})
    types = [json.loads(call.body)["event_type"] for call in merchant.wait_for(4)]
    assert {"PAYMENT.REFUND.PENDING", "PAYMENT.CAPTURE.REFUNDED"} < set(types)
    latest = paypal.refund(capture, key="K1").json()
    assert (latest["id"], latest["status"]) == (first["id"], "COMPLETED")
    assert paypal.get(f"/v2/payments/refunds/{first['id']}").json() == latest


@pytest.mark.parametrize(
    ("value", "changes", "status", "why"),
    [
        ("7.71", {}, 422, "REFUND_AMOUNT_EXCEEDED"),
        ("0.00", {}, 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ("1", {}, 400, "INVALID_PARAMETER"),
        ("-1.00", {}, 400, "INVALID_PARAMETER"),
        ("1.00", {"custom_id": "R" * 128}, 400, "INVALID_PARAMETER"),
        (
            None,
            {"amount": {"currency_code": "EUR", "value": "1.00"}},
            422,
            "REFUND_CAPTURE_CURRENCY_MISMATCH",
        ),
    ],
)  # fmt: skip
def test_an_invalid_refund_is_refused_with_its_issue(
    paypal: PayPal, play: Any, truth: Any, value: str | None, changes: Any, status: int, why: str
) -> None:
    _, capture = paypal.captured(play)
    answer = paypal.refund(capture, value, "K1", **changes)
    assert (answer.status_code, issue(answer)) == (status, why)
    assert truth()["refunds"] == []
    assert paypal.refund(capture, key="K1").status_code == 201, "a refusal is not stored"
    assert issue(paypal.refund(capture, "0.01", "K2")) == "CAPTURE_FULLY_REFUNDED"


def test_only_captures_are_refunded(paypal: PayPal, truth: Any) -> None:
    order = paypal.create().json()["id"]
    for number in ("C1", order, order.replace("O", "C", 1)):
        answer = paypal.refund(number, key="K1")
        assert (answer.status_code, issue(answer)) == (404, "INVALID_RESOURCE_ID")
    assert paypal.get("/v2/payments/refunds/R1").status_code == 404
    paypal.headers = {}
    assert paypal.refund("C1", key="K1").status_code == 401
    assert truth()["refunds"] == []


def test_the_settlement_file_lists_captures_and_refunds(
    paypal: PayPal, play: Any, sandbox: httpx.Client
) -> None:
    _, capture = paypal.captured(play)
    back = paypal.refund(capture, "1.00", "K1").json()["id"]
    lines = sandbox.get("/_sandbox/settlement/paypal").text.splitlines()[1:]
    assert [line.split(",")[:5] for line in lines] == [
        ["R1", capture, "payment", "770", "USD"],
        ["R1", back, "refund", "100", "USD"],
    ]
