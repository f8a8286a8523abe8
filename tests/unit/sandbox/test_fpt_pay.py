"""FPT Pay charges a member of staff's wallet through a form and sends a signed notice."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
from starlette.responses import JSONResponse

from tests.support.gateways.merchants import FPT_SECRET, FptPay
from tests.support.gateways.signing import fpt_pay_signature
from tests.support.sandbox.merchant import Call, Merchant


@pytest.fixture
def fpt_pay(sandbox: httpx.Client, merchant: Merchant) -> FptPay:
    return FptPay(sandbox, merchant.url)


def code(response: httpx.Response) -> str:
    return response.json()["error"]["code"]


def verified(call: Call) -> bool:
    signature = dict(part.split("=") for part in call.headers["x-fptpay-signature"].split(","))
    assert abs(int(signature["t"]) - time.time()) < 300, "a signature is good for five minutes"
    return signature["v1"] == fpt_pay_signature(FPT_SECRET, signature["t"], call.body)


def test_an_init_gives_a_form_where_a_person_pays(
    fpt_pay: FptPay, merchant: Merchant, truth: Any
) -> None:
    init = fpt_pay.init("R1")
    assert init.status_code == 201
    assert set(init.json()) == {"payment_id", "payment_url", "status", "expires_at"}
    url = init.json()["payment_url"]
    page = fpt_pay.client.get(url)
    assert "200.000 ₫" in page.text
    assert 'value="paid"' in page.text
    back = fpt_pay.client.post(url, data={"outcome": "paid"})
    assert back.headers["location"] == "https://pay.example.vn/return?reference=R1&status=paid"
    [call] = merchant.wait_for(1)
    assert call.path == "/webhooks/fpt-pay"
    assert verified(call)
    event = json.loads(call.body)
    assert set(event) == {
        *("event_id", "payment_id", "reference", "status", "amount", "currency"),
        *("paid_at", "reason"),
    }
    assert (event["reference"], event["status"], event["amount"]) == ("R1", "paid", 200_000)
    inquiry = fpt_pay.inquire("R1").json()
    assert {name: inquiry[name] for name in ("status", "amount", "paid_at", "reason")} == {
        name: event[name] for name in ("status", "amount", "paid_at", "reason")
    }
    assert fpt_pay.client.post(url, data={"outcome": "declined"}).status_code == 410
    assert truth()["charges"][0]["status"] == "paid"


def test_a_person_may_decline(fpt_pay: FptPay, merchant: Merchant) -> None:
    url = fpt_pay.init("R1").json()["payment_url"]
    fpt_pay.client.post(url, data={"outcome": "declined"})
    [call] = merchant.wait_for(1)
    event = json.loads(call.body)
    assert (event["status"], event["paid_at"], event["reason"]) == (
        "declined",
        None,
        "cancelled",
    )
    inquiry = fpt_pay.inquire("R1").json()
    assert (inquiry["status"], inquiry["reason"]) == ("declined", "cancelled")


@pytest.mark.parametrize("token", ["", "fpt.NV001.0000", "fpt.NV999.x", FPT_SECRET, "a.b", "é.é.é"])
def test_only_a_known_wallet_is_charged(fpt_pay: FptPay, truth: Any, token: str) -> None:
    response = fpt_pay.client.post(
        "/fpt_pay/payment/init",
        json=fpt_pay.body("R1"),
        headers=[
            (b"Authorization", f"Bearer {token}".strip().encode()),
            (b"Idempotency-Key", b"R1"),
        ],
    )
    assert (response.status_code, code(response)) == (401, "TOKEN_REFUSED")
    assert truth()["charges"] == []


def test_another_members_token_cannot_be_derived(fpt_pay: FptPay) -> None:
    mine = fpt_pay.token("NV001")
    assert fpt_pay.init("R1", mine.replace("NV001", "NV002")).status_code == 401
    assert fpt_pay.init("R1", fpt_pay.token("NV002")).status_code == 201


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": -1},
        {"amount": "200000"},
        {"amount": 200_000.5},
        {"amount": True},
        {"description": ""},
        {"customer_info": {"name": "Nguyen Van A"}},
        {"reference": ""},
        {"reference": "R 1"},
        {"return_url": "nowhere"},
        {"notify_url": None},
    ],
)
def test_an_invalid_init_is_refused(fpt_pay: FptPay, truth: Any, changes: dict[str, Any]) -> None:
    response = fpt_pay.init("R1", **changes)
    assert (response.status_code, code(response)) == (422, "INVALID_INPUT")
    assert truth()["charges"] == []


def test_an_init_is_safe_to_repeat(fpt_pay: FptPay, truth: Any) -> None:
    assert fpt_pay.init("R1", key=None).status_code == 400
    first = fpt_pay.init("R1")
    assert fpt_pay.init("R1").content == first.content
    assert fpt_pay.init("R1", amount=1).status_code == 409
    other_key = fpt_pay.init("R1", key="K2")
    assert (other_key.status_code, code(other_key)) == (409, "REFERENCE_EXISTS")
    assert len(truth()["charges"]) == 1


def test_an_inquiry_needs_the_merchants_secret(fpt_pay: FptPay) -> None:
    fpt_pay.init("R1")
    assert fpt_pay.inquire("R1").json()["status"] == "pending"
    assert fpt_pay.inquire("R1", fpt_pay.token()).status_code == 401
    assert fpt_pay.inquire("R2").status_code == 404


def test_a_notice_is_repeated_until_it_is_acknowledged(
    fpt_pay: FptPay, play: Any, merchant: Merchant
) -> None:
    answers = iter([JSONResponse({}, 500), JSONResponse({"code": "99"}), JSONResponse("no")])
    merchant.answer = lambda _: next(answers, JSONResponse({"code": "00"}))
    url = fpt_pay.init("R1").json()["payment_url"]
    answer = play(payment_url=url, amount=250_000)
    assert answer["webhooks"] == [{"status_code": 500, "body": {}}]
    calls = merchant.wait_for(4)
    assert all(verified(call) for call in calls)
    assert len({call.body for call in calls}) == 1
    assert json.loads(calls[0].body)["amount"] == 250_000


def test_a_forged_notice_does_not_verify_and_is_not_repeated(
    fpt_pay: FptPay, play: Any, merchant: Merchant
) -> None:
    merchant.answer = lambda _: JSONResponse({"code": "97"}, 401)
    fpt_pay.init("R1")
    assert play(reference="R1", bad_signature=True)["webhooks"][0]["status_code"] == 401
    assert not verified(merchant.calls[0])
    [webhook] = fpt_pay.client.get("/_sandbox/webhooks").json()["webhooks"]
    assert (webhook["forged"], webhook["due_at"]) == (True, None)


def test_refunds_add_up_to_what_was_paid(fpt_pay: FptPay, play: Any, truth: Any) -> None:
    fpt_pay.init("R1")
    assert code(fpt_pay.refund("R1", "F1", 1)) == "NOT_PAID"
    play(reference="R1")
    first = fpt_pay.refund("R1", "F1", 50_000)
    assert (first.status_code, first.json()["refunded"]) == (201, 50_000)
    assert fpt_pay.refund("R1", "F1", 50_000).content == first.content
    assert fpt_pay.refund("R1", "F1", 60_000).status_code == 409
    much = fpt_pay.refund("R1", "F2", 150_001)
    assert (much.status_code, code(much)) == (422, "REFUND_EXCEEDS_PAYMENT")
    assert fpt_pay.refund("R1", "F2", 150_000).status_code == 201
    assert fpt_pay.refund("R2", "F3", 1).status_code == 404
    assert truth()["charges"][0]["refunded"] == 200_000


def test_fpt_pay_has_no_suspicious_outcome(fpt_pay: FptPay) -> None:
    fpt_pay.init("R1")
    response = fpt_pay.client.post(
        "/_sandbox/pay", json={"reference": "R1", "outcome": "suspicious"}
    )
    assert response.status_code == 422
