"""MoMo accepts signed requests within its limits, refuses others by code, and calls once."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from starlette.responses import JSONResponse, Response

from sandbox.momo import rules as momo_rules
from tests.support.gateways.signing import momo_signature
from tests.support.sandbox.merchant import Call, Merchant
from tests.support.sandbox.vectors import VECTORS

KEY = "sandbox-momo-secret-key"
ACCESS = "sandbox-momo-access-key"
CREATE = {
    *("amount", "extraData", "ipnUrl", "orderId", "orderInfo", "partnerCode", "redirectUrl"),
    *("requestId", "requestType"),
}
QUERY = {"orderId", "partnerCode", "requestId"}
REFUND = QUERY | {"amount", "transId", "description"}
IPN = {
    *("amount", "extraData", "message", "orderId", "orderInfo", "orderType", "partnerCode"),
    *("payType", "requestId", "responseTime", "resultCode", "transId"),
}


def signature(fields: dict[str, Any], names: set[str], key: str = KEY) -> str:
    return momo_signature(key, {name: fields.get(name, "") for name in names}, ACCESS)


class MoMo:
    def __init__(self, client: httpx.Client, merchant_url: str) -> None:
        self.client = client
        self.merchant_url = merchant_url

    def create(self, reference: str, /, key: str = KEY, **changes: Any) -> httpx.Response:
        fields: dict[str, Any] = {
            "partnerCode": "MOBINET",
            "requestId": uuid.uuid4().hex,
            "orderId": reference,
            "amount": 200_000,
            "orderInfo": "Thanh toán cước HĐ SGFDN1015",
            "redirectUrl": "https://pay.example.vn/return",
            "ipnUrl": f"{self.merchant_url}/webhooks/momo",
            "requestType": "captureWallet",
            "extraData": "",
            "lang": "vi",
        } | changes
        return self._post("create", fields | {"signature": signature(fields, CREATE, key)})

    def query(self, reference: str, key: str = KEY, **changes: Any) -> httpx.Response:
        fields = {
            "partnerCode": "MOBINET",
            "requestId": uuid.uuid4().hex,
            "orderId": reference,
            "lang": "vi",
        } | changes
        return self._post("query", fields | {"signature": signature(fields, QUERY, key)})

    def refund(self, refund: str, number: Any, amount: Any, key: str = KEY) -> httpx.Response:
        fields = {
            "partnerCode": "MOBINET",
            "requestId": uuid.uuid4().hex,
            "orderId": refund,
            "amount": amount,
            "transId": number,
            "description": "Hoàn tiền",
            "lang": "vi",
        }
        return self._post("refund", fields | {"signature": signature(fields, REFUND, key)})

    def _post(self, operation: str, body: Any) -> httpx.Response:
        return self.client.post(f"/momo/v2/gateway/api/{operation}", json=body)


@pytest.fixture
def momo(sandbox: httpx.Client, merchant: Merchant) -> MoMo:
    merchant.answer = lambda _: Response(status_code=204)
    return MoMo(sandbox, merchant.url)


def code(response: httpx.Response) -> tuple[int, int]:
    return response.status_code, response.json()["resultCode"]


def event(call: Call) -> dict[str, Any]:
    ipn = json.loads(call.body)
    assert ipn["signature"] == signature(ipn, IPN)
    assert set(ipn) == IPN | {"signature"}
    return ipn


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v["id"]) for v in VECTORS if v["gateway"] == "momo"]
)
def test_an_example_is_spelled_and_signed_as_computed(vector: dict[str, Any]) -> None:
    text = momo_rules.canonical(vector["input"], vector["input"])
    assert text == vector["canonical"]
    assert momo_rules.sign(vector["secret"].encode(), text) == vector["expected"]


def test_a_payment_on_its_page_is_reported_once(momo: MoMo, merchant: Merchant, truth: Any) -> None:
    created = momo.create("R1")
    order = created.json()
    assert code(created) == (200, 0)
    assert {"payUrl", "qrCodeUrl", "deeplink", "responseTime", "amount"} <= set(order)
    assert code(momo.query("R1")) == (200, 1000)
    assert "200.000 ₫" in momo.client.get(order["payUrl"]).text

    back = momo.client.post(order["payUrl"], data={"outcome": "paid"})

    returned = dict(parse_qsl(urlsplit(back.headers["location"]).query, keep_blank_values=True))
    (call,) = merchant.wait_for(1)
    ipn = event(call)
    assert call.path == "/webhooks/momo"
    assert (ipn["orderId"], ipn["amount"], ipn["resultCode"]) == ("R1", 200_000, 0)
    assert returned == {name: str(value) for name, value in ipn.items()}
    inquiry = momo.query("R1").json()
    assert (inquiry["resultCode"], inquiry["transId"]) == (0, ipn["transId"])
    assert momo.client.post(order["payUrl"], data={"outcome": "paid"}).status_code == 410
    assert truth()["charges"][0]["status"] == "paid"


def test_a_declined_qr_is_reported_with_the_code_of_its_reason(
    momo: MoMo, play: Any, merchant: Merchant
) -> None:
    play(qr=momo.create("R1").json()["qrCodeUrl"], outcome="declined", reason="1001")
    assert event(merchant.calls[0])["resultCode"] == 1001
    assert code(momo.query("R1")) == (200, 1001)


def test_an_ipn_is_not_repeated(momo: MoMo, play: Any, merchant: Merchant) -> None:
    merchant.answer = lambda _: JSONResponse({"resultCode": 0})  # 200 is not 204
    momo.create("R1")
    play(reference="R1")
    (webhook,) = momo.client.get("/_sandbox/webhooks").json()["webhooks"]
    assert webhook["due_at"] is None
    assert len(merchant.calls) == 1
    assert code(momo.query("R1")) == (200, 0)


def test_a_forged_call_does_not_verify(momo: MoMo, play: Any, merchant: Merchant) -> None:
    momo.create("R1")
    play(reference="R1", bad_signature=True)
    ipn = json.loads(merchant.calls[0].body)
    assert ipn["signature"] != signature(ipn, IPN)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount": 999}, 22),
        ({"amount": 50_000_001}, 22),
        ({"amount": "200000"}, 21),
        ({"amount": 200_000.5}, 21),
        ({"amount": True}, 21),
        ({"orderId": "has space"}, 20),
        ({"orderId": "R" * 201}, 20),
        ({"orderInfo": ""}, 20),
        ({"orderInfo": "x" * 256}, 20),
        ({"requestId": "x" * 51}, 20),
        ({"redirectUrl": "nowhere"}, 20),
        ({"ipnUrl": "https://pay.example.vn/ipn?a=b"}, 20),
        ({"requestType": "payWithCrypto"}, 20),
        ({"extraData": "{}"}, 20),
        ({"lang": "fr"}, 20),
        ({"partnerCode": "ANOTHER"}, 13),
        ({"key": "another"}, 13),
    ],
)
def test_an_invalid_order_is_refused_with_momos_own_code(
    momo: MoMo, truth: Any, changes: dict[str, Any], expected: int
) -> None:
    reference = str(changes.pop("orderId", "R1"))
    assert code(momo.create(reference, **changes)) == (400, expected)
    assert truth()["charges"] == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"amount": 200000}'])
def test_a_body_that_is_not_a_json_object_is_refused(momo: MoMo, body: bytes) -> None:
    response = momo.client.post("/momo/v2/gateway/api/create", content=body)
    assert code(response) == (400, 20)


def test_an_order_is_opened_once(momo: MoMo, play: Any, truth: Any) -> None:
    first = momo.create("R1", requestId="Q1")
    assert code(momo.create("R1", requestId="Q1")) == (422, 7000)
    assert code(momo.create("R1", requestId="Q1", amount=300_000)) == (400, 40)
    assert code(momo.create("R1", requestId="Q2")) == (400, 41)
    play(reference="R1")
    assert momo.create("R1", requestId="Q1").json() == first.json()
    assert len(truth()["charges"]) == 1


def test_an_unknown_order_is_not_found(momo: MoMo) -> None:
    assert code(momo.query("R1")) == (400, 42)
    momo.create("R1")
    assert code(momo.query("R1", key="another")) == (400, 13)


def test_another_amount_is_reported_as_paid(momo: MoMo, play: Any, merchant: Merchant) -> None:
    momo.create("R1")
    play(reference="R1", amount=150_000)
    assert event(merchant.calls[0])["amount"] == 150_000
    assert momo.query("R1").json()["amount"] == 150_000


def test_refunds_add_up_to_what_was_paid_and_each_is_made_once(
    momo: MoMo, play: Any, truth: Any
) -> None:
    momo.create("R1")
    number = momo.query("R1").json()["transId"]
    assert code(momo.refund("F1", number, 50_000)) == (400, 42), (
        "an unpaid order has no transaction"
    )
    play(reference="R1")
    number = momo.query("R1").json()["transId"]
    assert code(momo.refund("F1", number, 50_000, key="another")) == (400, 13)
    assert code(momo.refund("F1", number, 999)) == (400, 22)
    assert code(momo.refund("R1", number, 50_000)) == (400, 41), "an id of its own"
    first = momo.refund("F1", number, 50_000)
    assert code(first) == (200, 0)
    assert momo.refund("F1", number, 50_000).json()["transId"] == first.json()["transId"]
    assert code(momo.refund("F1", number, 60_000)) == (400, 41)
    assert code(momo.refund("F2", number, 150_001)) == (400, 1081)
    assert code(momo.refund("F2", number, 150_000)) == (200, 0)
    listed = momo.query("R1").json()["refundTrans"]
    assert [(item["orderId"], item["amount"]) for item in listed] == [
        ("F1", 50_000),
        ("F2", 150_000),
    ]
    assert truth()["charges"][0]["refunded"] == 200_000
