"""Giving money back through PayPal: in dollars, once, however often it is asked for or about, and never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.methods import GatewayName
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.gateways import Gateways
from integrations.http.client import Upstream
from integrations.paypal.access import Access
from integrations.paypal.gateway import PayPal
from tests.support.gateways import counterpart as they
from tests.support.gateways.counterpart import Act, Counterpart, says
from tests.support.gateways.dialects import NOW, REFERENCE, attempt, reversal
from tests.support.gateways.paypal import (
    CAPTURE_ID,
    ORDER_ID,
    REFUND_ID,
    PayPalDialect,
    capture,
    certificates,
    event,
    order,
    paypal_call,
    problem,
    refund,
)

REVERSAL = reversal(GatewayName.PAYPAL)
PAID = replace(attempt(GatewayName.PAYPAL, 770), gateway_id=CAPTURE_ID, paid_under=(CAPTURE_ID,))
SENT = f"/v2/payments/captures/{CAPTURE_ID}/refund"
LATER = NOW + timedelta(hours=5)  # they may have forgotten our id by then


@pytest.fixture
def paypal(http: Upstream) -> PayPal:
    return PayPalDialect().gateway(http)


def refused(issue: str) -> Act:
    return problem("UNPROCESSABLE_ENTITY", issue, 422)


async def give_back(paypal: PayPal) -> Any:
    return await paypal.refund(PAID, REVERSAL, whole=False, now=NOW)


async def ask(paypal: PayPal, *, at: Any = NOW, **but: Any) -> Any:
    return await paypal.inquire_refund(PAID, replace(REVERSAL, **but), known=(), now=at)


def test_paypal_is_one_of_those_that_pay_out(paypal: PayPal) -> None:
    assert Gateways([paypal]).refunding(GatewayName.PAYPAL) is paypal


async def test_a_refund_is_asked_for_in_dollars_under_our_id(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.will(says(refund(), 201))
    evidence = await give_back(paypal)
    (seen,) = counterpart.seen
    assert (seen.method, seen.path) == ("POST", SENT)
    assert seen.headers["paypal-request-id"] == REVERSAL.id
    assert seen.headers["prefer"] == "return=representation"
    assert seen.json == {
        "amount": {"currency_code": "USD", "value": "1.93"},
        "custom_id": REVERSAL.id,
        "invoice_id": REVERSAL.id,
        "note_to_payer": f"Hoan tien GD {REFERENCE}",
    }
    assert (evidence.result, evidence.source) == (GatewayResult.PAID, EvidenceSource.INQUIRY)
    assert evidence.gateway_id == REFUND_ID


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (says(refund("PENDING"), 201), GatewayResult.UNKNOWN),
        (says(refund("ANYTHING_NEW"), 201), GatewayResult.UNKNOWN),
        (says(refund("FAILED"), 201), GatewayResult.DECLINED),
        (says(refund("CANCELLED"), 201), GatewayResult.DECLINED),
        (says(refund(amount=192), 201), GatewayResult.UNKNOWN),
        (
            says(refund() | {"amount": {"currency_code": "EUR", "value": "1.93"}}, 201),
            GatewayResult.UNKNOWN,
        ),
        (says(refund() | {"amount": None}, 201), GatewayResult.UNKNOWN),
        (says(refund(custom_id="another", invoice_id=None), 201), GatewayResult.UNKNOWN),
        (refused("CAPTURE_FULLY_REFUNDED"), GatewayResult.DECLINED),
        (refused("REFUND_AMOUNT_EXCEEDED"), GatewayResult.DECLINED),
        (refused("REFUND_FAILED_INSUFFICIENT_FUNDS"), GatewayResult.DECLINED),
        (refused("ANYTHING_NEW"), GatewayResult.DECLINED),
        (refused("DUPLICATE_INVOICE_ID"), GatewayResult.UNKNOWN),
        (problem("RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", 404), GatewayResult.DECLINED),
        (problem("RESOURCE_CONFLICT", "PREVIOUS_REQUEST_IN_PROGRESS", 409), GatewayResult.UNKNOWN),
        (problem("NOT_AUTHORIZED", "PERMISSION_DENIED", 403), GatewayResult.UNKNOWN),
        (problem("RATE_LIMIT_REACHED", "", 429), GatewayResult.UNKNOWN),
        (problem("AUTHENTICATION_FAILURE", "INVALID_TOKEN", 401), GatewayResult.UNKNOWN),
        (says(b"<html>not found</html>", 404), GatewayResult.UNKNOWN),
        (they.silence, GatewayResult.UNKNOWN),
        (they.reset, GatewayResult.UNKNOWN),
        (they.truncated, GatewayResult.UNKNOWN),
        (they.server_error, GatewayResult.UNKNOWN),
    ],
)
async def test_an_answer_is_worth_what_it_says_and_the_request_is_sent_once(
    paypal: PayPal, counterpart: Counterpart, answer: Act, result: GatewayResult
) -> None:
    counterpart.always(answer)
    evidence = await give_back(paypal)
    assert evidence.result is result
    assert (evidence.failure is not None) is (result is GatewayResult.DECLINED)
    assert len(counterpart.seen) == 1


async def test_a_no_says_why(paypal: PayPal, counterpart: Counterpart) -> None:
    counterpart.will(refused("REFUND_TIME_LIMIT_EXCEEDED"))
    failure = (await give_back(paypal)).failure
    assert failure.code == "REFUND_TIME_LIMIT_EXCEEDED"
    assert "REFUND_TIME_LIMIT_EXCEEDED" in failure.message


async def test_without_a_token_nothing_is_asked_for(
    http: Upstream, counterpart: Counterpart
) -> None:
    access = Access(http, client_id="us", client_secret="secret")
    silent = PayPal(
        http, bearer=access, refused=access.forget, webhook_id="W", certificates=certificates(http)
    )
    counterpart.always(they.server_error)
    assert (await give_back(silent)).result is GatewayResult.NOT_CONNECTED
    assert {seen.path for seen in counterpart.seen} == {"/v1/oauth2/token"}


async def test_of_what_no_number_is_known_nothing_can_be_given_back(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    asserted = replace(PAID, gateway_id=None, paid_under=())
    evidence = await paypal.refund(asserted, REVERSAL, whole=False, now=NOW)
    assert evidence.result is GatewayResult.UNPAID
    assert counterpart.seen == []


# To ask what became of it


async def test_without_a_number_the_same_request_is_the_question(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.will(they.silence, says(refund("PENDING")))
    await give_back(paypal)
    evidence = await ask(paypal, at=LATER - timedelta(seconds=1))
    first, again = counterpart.seen
    assert (again.path, again.body) == (first.path, first.body)
    assert again.headers["paypal-request-id"] == first.headers["paypal-request-id"]
    assert (evidence.result, evidence.gateway_id) == (GatewayResult.UNKNOWN, REFUND_ID)


@pytest.mark.parametrize("issue", ["CAPTURE_FULLY_REFUNDED", "REFUND_AMOUNT_EXCEEDED"])
async def test_that_nothing_is_left_may_be_by_the_very_refund_that_is_asked_about(
    paypal: PayPal, counterpart: Counterpart, issue: str
) -> None:
    counterpart.always(refused(issue))
    assert (await ask(paypal)).result is GatewayResult.UNKNOWN


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("COMPLETED", GatewayResult.PAID),
        ("PENDING", GatewayResult.UNKNOWN),
        ("FAILED", GatewayResult.DECLINED),
        ("CANCELLED", GatewayResult.DECLINED),
    ],
)
async def test_one_whose_number_is_known_is_asked_about_by_it_however_late(
    paypal: PayPal, counterpart: Counterpart, status: str, result: GatewayResult
) -> None:
    counterpart.always(says(refund(status)))
    for at in (NOW, LATER + timedelta(days=7)):
        evidence = await ask(paypal, at=at, gateway_id=REFUND_ID)
        assert evidence.result is result
    paths = {(seen.method, seen.path) for seen in counterpart.seen}
    assert paths == {("GET", f"/v2/payments/refunds/{REFUND_ID}")}


@pytest.mark.parametrize(
    "answer",
    [
        says(refund(custom_id="another", invoice_id=None)),
        says(refund(amount=1)),
        problem("RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", 404),
        they.half_json,
    ],
)
async def test_what_is_not_about_it_says_nothing(
    paypal: PayPal, counterpart: Counterpart, answer: Act
) -> None:
    counterpart.always(answer)
    assert (await ask(paypal, gateway_id=REFUND_ID)).result is GatewayResult.UNKNOWN


CAPTURED = says(
    capture("PARTIALLY_REFUNDED") | {"supplementary_data": {"related_ids": {"order_id": ORDER_ID}}}
)


def record(*refunds: dict[str, Any], reference: str = REFERENCE) -> Act:
    told = order("COMPLETED", reference, capture("PARTIALLY_REFUNDED"))
    told["purchase_units"][0]["payments"]["refunds"] = list(refunds)
    return says(told)


@pytest.mark.parametrize(
    ("told", "result"),
    [
        (record(refund(custom_id="another", invoice_id="another"), refund()), GatewayResult.PAID),
        (record(refund("PENDING")), GatewayResult.UNKNOWN),
        (record(refund("FAILED")), GatewayResult.DECLINED),
        (record(refund(amount=1)), GatewayResult.UNKNOWN),
        (record(refund(custom_id="another", invoice_id="another")), GatewayResult.UNPAID),
        (record(), GatewayResult.UNPAID),
        (record(reference="another"), GatewayResult.UNKNOWN),
        (problem("RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", 404), GatewayResult.UNKNOWN),
        (they.server_error, GatewayResult.UNKNOWN),
    ],
)
async def test_once_they_may_have_forgotten_our_id_the_orders_record_is_the_last_word(
    paypal: PayPal, counterpart: Counterpart, told: Act, result: GatewayResult
) -> None:
    counterpart.will(CAPTURED)
    counterpart.always(told)
    assert (await ask(paypal, at=LATER)).result is result
    first, second, *_ = counterpart.seen
    assert first.path == f"/v2/payments/captures/{CAPTURE_ID}"
    assert second.path == f"/v2/checkout/orders/{ORDER_ID}"
    assert {seen.method for seen in counterpart.seen} == {"GET"}, "nothing is asked for twice"


async def test_a_capture_of_no_known_order_says_nothing(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.always(says(capture()))
    assert (await ask(paypal, at=LATER)).result is GatewayResult.UNKNOWN


# To be told


@pytest.mark.parametrize(
    "type", ["PAYMENT.CAPTURE.REFUNDED", "PAYMENT.REFUND.PENDING", "PAYMENT.REFUND.FAILED"]
)
def test_a_call_about_a_refund_is_kept_and_the_refund_asked_about_all_the_same(
    paypal: PayPal, type: str
) -> None:
    (notice,) = paypal.read_webhook(paypal_call(event(type, refund())))
    assert (notice.event_id, notice.reference, notice.evidence) == ("WH-1", None, None)
