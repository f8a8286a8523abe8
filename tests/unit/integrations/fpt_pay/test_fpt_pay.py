"""FPT Pay's requests, answers and calls: the token, the signature and its age."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.gateways import BadCall, Verdict
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payment_evidence import GatewayResult
from integrations.fpt_pay.gateway import FPTPay
from integrations.http.client import Upstream
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import (
    NOW,
    ORDER,
    REFERENCE,
    REFUND,
    attempt,
    evidence_of_call,
    reversal,
)
from tests.support.gateways.fpt_pay import WALLET_SECRET, FPTPayDialect, fpt_pay_call
from tests.support.gateways.table import case

OURS = FPTPayDialect()
ATTEMPT = attempt(GatewayName.FPT_PAY)


@pytest.fixture
def fpt_pay(http: Upstream) -> FPTPay:
    return OURS.gateway(http)


def event(**other: Any) -> bytes:
    return json.dumps(OURS.payment("paid", REFERENCE, 200_000, event_id="evt_1") | other).encode()


async def test_the_request_follows_the_specification_and_has_our_reference(
    fpt_pay: FPTPay, counterpart: Counterpart
) -> None:
    counterpart.will(OURS.acceptance())
    evidence = await fpt_pay.start(ATTEMPT, ORDER, now=NOW)
    seen = counterpart.seen[0]
    assert (seen.method, seen.path) == ("POST", "/payment/init")
    assert seen.headers["authorization"] == "Bearer wallet-token"
    assert seen.headers["idempotency-key"] == REFERENCE
    assert seen.json == {
        "amount": 200_000,
        "description": ORDER.description,
        "customer_info": {"name": "Nguyen Van A", "phone": "0987654321"},
        "reference": REFERENCE,
        "return_url": ORDER.return_url,
        "notify_url": ORDER.notify_url,
    }
    assert evidence.payment_url == "https://pay.fptpay.vn/form/abc"
    assert evidence.gateway_id == "FP77"


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_token_asks_to_log_in_again(
    fpt_pay: FPTPay, counterpart: Counterpart, status: int
) -> None:
    counterpart.will(says({"error": {"code": "TOKEN_REFUSED", "message": "no"}}, status))
    evidence = await fpt_pay.start(ATTEMPT, ORDER, now=NOW)
    assert evidence.result is GatewayResult.DECLINED
    assert evidence.failure
    assert evidence.failure.code == "GATEWAY_UNAVAILABLE"
    assert "đăng nhập lại" in evidence.failure.message


async def test_without_a_token_nothing_is_sent(fpt_pay: FPTPay, counterpart: Counterpart) -> None:
    evidence = await fpt_pay.start(ATTEMPT, replace(ORDER, staff_token=None), now=NOW)
    assert evidence.result is GatewayResult.DECLINED
    assert not counterpart.seen


@pytest.mark.parametrize(
    "other",
    [{"payment_url": "javascript:alert(1)"}, {"status": "paid"}, {"payment_id": 7}],
    ids=["a script as address", "an unexpected status", "a number as id"],
)
async def test_a_malformed_acceptance_is_unknown(
    fpt_pay: FPTPay, counterpart: Counterpart, other: dict[str, Any]
) -> None:
    response = {"payment_id": "FP1", "payment_url": "https://pay.fptpay.vn/x", "status": "pending"}
    counterpart.will(says(response | other, 201))
    assert (await fpt_pay.start(ATTEMPT, ORDER, now=NOW)).result is GatewayResult.UNKNOWN


async def test_an_inquiry_authenticates_as_the_merchant_and_not_as_the_staff(
    fpt_pay: FPTPay, counterpart: Counterpart
) -> None:
    counterpart.will(OURS.inquiry_answer("paid"))
    await fpt_pay.inquire(ATTEMPT, now=NOW)
    assert counterpart.seen[0].path == f"/payment/{REFERENCE}"
    assert counterpart.seen[0].headers["authorization"] == f"Bearer {WALLET_SECRET}"


async def test_an_inquiry_is_retried(fpt_pay: FPTPay, counterpart: Counterpart) -> None:
    counterpart.will(says({}, 500), says({}, 503), OURS.inquiry_answer("paid"))
    assert (await fpt_pay.inquire(ATTEMPT, now=NOW)).result is GatewayResult.PAID


@pytest.mark.parametrize("age", [-299, 0, 299])
def test_a_signature_is_valid_for_five_minutes(fpt_pay: FPTPay, age: int) -> None:
    call = fpt_pay_call(event(), at=NOW - timedelta(seconds=age))
    assert evidence_of_call(fpt_pay, call).result is GatewayResult.PAID


@pytest.mark.parametrize("age", [-301, 301, 86_400])
def test_an_old_or_future_signature_is_refused(fpt_pay: FPTPay, age: int) -> None:
    with pytest.raises(BadCall, match="too old"):
        fpt_pay.read_webhook(fpt_pay_call(event(), at=NOW - timedelta(seconds=age)))


def test_the_time_is_signed_too(fpt_pay: FPTPay) -> None:
    call = fpt_pay_call(event(), at=NOW - timedelta(hours=1))
    stamp = f"t={int(NOW.timestamp())}"
    signature = call.headers["x-fptpay-signature"]
    fresh = replace(call, headers={"x-fptpay-signature": stamp + signature[signature.index(",") :]})
    with pytest.raises(BadCall, match="verify"):
        fpt_pay.read_webhook(fresh)


def test_either_secret_signs_during_a_rotation(fpt_pay: FPTPay) -> None:
    assert fpt_pay.read_webhook(fpt_pay_call(event(), secret="the-old-one"))
    with pytest.raises(BadCall):
        fpt_pay.read_webhook(fpt_pay_call(event(), secret="a-third"))


def test_one_of_several_signatures_is_enough(fpt_pay: FPTPay) -> None:
    call = fpt_pay_call(event())
    signature = call.headers["x-fptpay-signature"]
    both = signature.replace(",v1=", f",v1={'0' * 64},v1=")
    assert fpt_pay.read_webhook(replace(call, headers={"X-FptPay-Signature": both}))


@pytest.mark.parametrize("amount", [200_000.5, "200.000", True, None, -1, 2**53])
def test_a_signed_payment_with_an_unreadable_amount_is_paid_without_money(
    fpt_pay: FPTPay, amount: Any
) -> None:
    evidence = evidence_of_call(fpt_pay, fpt_pay_call(event(amount=amount)))
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, None)


def test_another_currency_stays_as_it_is(fpt_pay: FPTPay) -> None:
    evidence = evidence_of_call(fpt_pay, fpt_pay_call(event(currency="USD")))
    assert evidence.money == Money(200_000, Currency.USD)
    evidence = evidence_of_call(fpt_pay, fpt_pay_call(event(currency="XXX")))
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, None)


@case("every class of code", "FPTPay")
def test_an_undocumented_status_is_unknown(fpt_pay: FPTPay) -> None:
    evidence = evidence_of_call(fpt_pay, fpt_pay_call(event(status="charged_back")))
    assert evidence.result is GatewayResult.UNKNOWN


@pytest.mark.parametrize("name", ["event_id", "reference", "payment_id", "status"])
def test_a_signed_event_that_lacks_a_member_is_refused(fpt_pay: FPTPay, name: str) -> None:
    body = {key: value for key, value in json.loads(event()).items() if key != name}
    with pytest.raises(BadCall, match=name):
        fpt_pay.read_webhook(fpt_pay_call(json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("verdict", "status", "code"),
    [
        (Verdict.ACCEPTED, 200, "00"),
        (Verdict.ALREADY_DONE, 200, "00"),
        (Verdict.WRONG_AMOUNT, 200, "04"),
        (Verdict.UNKNOWN_REFERENCE, 404, "01"),
        (Verdict.BAD_SIGNATURE, 401, "97"),
        (Verdict.OUR_ERROR, 500, "99"),
    ],
)
def test_fpt_pay_gets_a_code_for_each_verdict(
    fpt_pay: FPTPay, verdict: Verdict, status: int, code: str
) -> None:
    reply = fpt_pay.answer(verdict)
    assert (reply.status, json.loads(reply.body)) == (status, {"code": code})


# Refunds

REVERSAL = reversal(GatewayName.FPT_PAY)
REFUNDED = {"refund_reference": REFUND, "refund_id": "FPR1", "status": "refunded", "amount": 50_000}


async def test_an_inquiry_repeats_the_refund_under_the_same_key(
    fpt_pay: FPTPay, counterpart: Counterpart
) -> None:
    counterpart.always(says(REFUNDED, 201))
    refunded = await fpt_pay.refund(ATTEMPT, REVERSAL, whole=False, now=NOW)
    inquired = await fpt_pay.inquire_refund(ATTEMPT, REVERSAL, known=(), now=NOW)
    assert refunded == inquired
    assert (refunded.result, refunded.gateway_id) == (GatewayResult.PAID, "FPR1")
    first, second = counterpart.seen
    assert first.json == second.json == {"refund_reference": REFUND, "amount": 50_000}
    assert first.path == f"/payment/{REFERENCE}/refund"


@pytest.mark.parametrize(
    ("body", "status", "result"),
    [
        (
            {"error": {"code": "REFUND_EXCEEDS_PAYMENT", "message": "…"}},
            422,
            GatewayResult.DECLINED,
        ),
        ({"error": {"code": "NOT_PAID", "message": "…"}}, 409, GatewayResult.DECLINED),
        ({"error": {"code": "REFUND_EXISTS", "message": "…"}}, 409, GatewayResult.UNKNOWN),
        ({"error": {"code": "UNAUTHENTICATED", "message": "…"}}, 401, GatewayResult.UNKNOWN),
        (REFUNDED | {"amount": 49_999}, 201, GatewayResult.UNKNOWN),
        (REFUNDED | {"status": "pending"}, 201, GatewayResult.UNKNOWN),
    ],
)
async def test_an_answer_is_a_decline_only_if_it_is_about_the_refund(
    fpt_pay: FPTPay,
    counterpart: Counterpart,
    body: dict[str, Any],
    status: int,
    result: GatewayResult,
) -> None:
    counterpart.always(says(body, status))
    assert (await fpt_pay.refund(ATTEMPT, REVERSAL, whole=False, now=NOW)).result is result
