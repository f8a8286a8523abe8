"""PayPal as a merchant finds it: a token, an order that is approved and then captured, refusals by name, signed calls."""

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

from tests.sandbox.conftest import Merchant

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
    told = json.loads(merchant.wait_for(2)[1].body)
    assert (told["event_type"], told["resource"]["id"]) == (
        "PAYMENT.CAPTURE.COMPLETED",
        money["id"],
    )
    assert paypal.get(f"/v2/payments/captures/{money['id']}").json()["custom_id"] == "R1"
    (charge,) = truth()["charges"]
    assert (charge["status"], charge["amount"], charge["currency"]) == ("paid", 770, "USD")


def test_a_request_under_its_id_is_carried_out_once(paypal: PayPal, play: Any, truth: Any) -> None:
    order = paypal.create().json()
    assert paypal.create().json()["id"] == order["id"]
    assert paypal.create(key="R2").json()["id"] != order["id"]
    play(payment_url=order["links"][0]["href"])
    first = paypal.capture(order["id"])
    assert paypal.capture(order["id"]).content == first.content
    assert issue(paypal.capture(order["id"], "C2")) == "ORDER_ALREADY_CAPTURED"
    assert sorted(one["status"] for one in truth()["charges"]) == ["paid", "pending"]


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
def test_an_order_that_does_not_fit_is_refused_by_name(
    paypal: PayPal, truth: Any, changes: Any, why: str
) -> None:
    answer = paypal.create(**changes)
    assert answer.status_code in (400, 422)
    assert issue(answer) == why
    assert truth()["charges"] == []


def test_nobody_is_let_in_without_a_token_of_ours(paypal: PayPal, truth: Any) -> None:
    form = {"grant_type": "client_credentials"}
    wrong = paypal.client.post("/paypal/v1/oauth2/token", data=form, auth=("us", "wrong"))
    assert wrong.status_code == 401
    for token in ("", "Bearer A21AA", f"{paypal.headers['Authorization'][:-1]}x"):
        paypal.headers = {"Authorization": token}
        assert paypal.create().status_code == 401
    assert truth()["charges"] == []


def test_what_nobody_asked_for_is_not_found(paypal: PayPal) -> None:
    for path in ("/v2/checkout/orders/O1", "/v2/payments/captures/C1"):
        answer = paypal.get(path)
        assert (answer.status_code, answer.json()["name"]) == (404, "RESOURCE_NOT_FOUND")


def test_a_call_is_repeated_until_it_is_answered_by_a_2xx_and_a_forged_one_is_not(
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
