"""Refunds through PayPal: in dollars, once, and with a result that is never guessed."""

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
from tests.support.gateways import counterpart as acts
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
LATER = NOW + timedelta(hours=5)  # PayPal may have forgotten our id by then


@pytest.fixture
def paypal(http: Upstream) -> PayPal:
    return PayPalDialect().gateway(http)


def refused(issue: str) -> Act:
    return problem("UNPROCESSABLE_ENTITY", issue, 422)


async def refund_payment(paypal: PayPal) -> Any:
    return await paypal.refund(PAID, REVERSAL, whole=False, now=NOW)


async def inquire(paypal: PayPal, *, at: Any = NOW, **changes: Any) -> Any:
    return await paypal.inquire_refund(PAID, replace(REVERSAL, **changes), known=(), now=at)


def test_paypal_can_refund(paypal: PayPal) -> None:
    assert Gateways([paypal]).refunding(GatewayName.PAYPAL) is paypal


async def test_a_refund_is_requested_in_dollars_under_our_id(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.will(says(refund(), 201))
    evidence = await refund_payment(paypal)
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
        (acts.silence, GatewayResult.UNKNOWN),
        (acts.reset, GatewayResult.UNKNOWN),
        (acts.truncated, GatewayResult.UNKNOWN),
        (acts.server_error, GatewayResult.UNKNOWN),
    ],
)
async def test_each_answer_has_its_result_and_the_request_is_sent_once(
    paypal: PayPal, counterpart: Counterpart, answer: Act, result: GatewayResult
) -> None:
    counterpart.always(answer)
    evidence = await refund_payment(paypal)
    assert evidence.result is result
    assert (evidence.failure is not None) is (result is GatewayResult.DECLINED)
    assert len(counterpart.seen) == 1


async def test_a_decline_has_a_code_and_a_sentence(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.will(refused("REFUND_TIME_LIMIT_EXCEEDED"))
    failure = (await refund_payment(paypal)).failure
    assert failure.code == "REFUND_TIME_LIMIT_EXCEEDED"
    assert "REFUND_TIME_LIMIT_EXCEEDED" in failure.message


async def test_without_a_token_no_refund_is_requested(
    http: Upstream, counterpart: Counterpart
) -> None:
    access = Access(http, client_id="us", client_secret="secret")
    paypal = PayPal(
        http,
        bearer=access,
        on_token_refused=access.forget,
        webhook_id="W",
        certificates=certificates(http),
    )
    counterpart.always(acts.server_error)
    assert (await refund_payment(paypal)).result is GatewayResult.NOT_CONNECTED
    assert {seen.path for seen in counterpart.seen} == {"/v1/oauth2/token"}


async def test_a_payment_without_a_known_capture_cannot_be_refunded(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    decided = replace(PAID, gateway_id=None, paid_under=())
    evidence = await paypal.refund(decided, REVERSAL, whole=False, now=NOW)
    assert evidence.result is GatewayResult.UNPAID
    assert counterpart.seen == []


# Inquiries


async def test_without_the_refunds_id_an_inquiry_repeats_the_request(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.will(acts.silence, says(refund("PENDING")))
    await refund_payment(paypal)
    evidence = await inquire(paypal, at=LATER - timedelta(seconds=1))
    first, again = counterpart.seen
    assert (again.path, again.body) == (first.path, first.body)
    assert again.headers["paypal-request-id"] == first.headers["paypal-request-id"]
    assert (evidence.result, evidence.gateway_id) == (GatewayResult.UNKNOWN, REFUND_ID)


@pytest.mark.parametrize("issue", ["CAPTURE_FULLY_REFUNDED", "REFUND_AMOUNT_EXCEEDED"])
async def test_nothing_left_to_refund_may_be_because_of_this_refund(
    paypal: PayPal, counterpart: Counterpart, issue: str
) -> None:
    counterpart.always(refused(issue))
    assert (await inquire(paypal)).result is GatewayResult.UNKNOWN


@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("COMPLETED", GatewayResult.PAID),
        ("PENDING", GatewayResult.UNKNOWN),
        ("FAILED", GatewayResult.DECLINED),
        ("CANCELLED", GatewayResult.DECLINED),
    ],
)
async def test_a_refund_with_a_known_id_is_inquired_by_it_at_any_time(
    paypal: PayPal, counterpart: Counterpart, status: str, result: GatewayResult
) -> None:
    counterpart.always(says(refund(status)))
    for at in (NOW, LATER + timedelta(days=7)):
        evidence = await inquire(paypal, at=at, gateway_id=REFUND_ID)
        assert evidence.result is result
    paths = {(seen.method, seen.path) for seen in counterpart.seen}
    assert paths == {("GET", f"/v2/payments/refunds/{REFUND_ID}")}


@pytest.mark.parametrize(
    "answer",
    [
        says(refund(custom_id="another", invoice_id=None)),
        says(refund(amount=1)),
        problem("RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", 404),
        acts.half_json,
    ],
)
async def test_an_answer_about_another_refund_is_unknown(
    paypal: PayPal, counterpart: Counterpart, answer: Act
) -> None:
    counterpart.always(answer)
    assert (await inquire(paypal, gateway_id=REFUND_ID)).result is GatewayResult.UNKNOWN


CAPTURED = says(
    capture("PARTIALLY_REFUNDED") | {"supplementary_data": {"related_ids": {"order_id": ORDER_ID}}}
)


def order_record(*refunds: dict[str, Any], reference: str = REFERENCE) -> Act:
    content = order("COMPLETED", reference, capture("PARTIALLY_REFUNDED"))
    content["purchase_units"][0]["payments"]["refunds"] = list(refunds)
    return says(content)


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (
            order_record(refund(custom_id="another", invoice_id="another"), refund()),
            GatewayResult.PAID,
        ),
        (order_record(refund("PENDING")), GatewayResult.UNKNOWN),
        (order_record(refund("FAILED")), GatewayResult.DECLINED),
        (order_record(refund(amount=1)), GatewayResult.UNKNOWN),
        (order_record(refund(custom_id="another", invoice_id="another")), GatewayResult.UNPAID),
        (order_record(), GatewayResult.UNPAID),
        (order_record(reference="another"), GatewayResult.UNKNOWN),
        (problem("RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", 404), GatewayResult.UNKNOWN),
        (acts.server_error, GatewayResult.UNKNOWN),
    ],
)
async def test_the_orders_record_decides_once_paypal_may_have_forgotten_our_id(
    paypal: PayPal, counterpart: Counterpart, answer: Act, result: GatewayResult
) -> None:
    counterpart.will(CAPTURED)
    counterpart.always(answer)
    assert (await inquire(paypal, at=LATER)).result is result
    first, second, *_ = counterpart.seen
    assert first.path == f"/v2/payments/captures/{CAPTURE_ID}"
    assert second.path == f"/v2/checkout/orders/{ORDER_ID}"
    assert {seen.method for seen in counterpart.seen} == {"GET"}, (
        "the refund is not requested again"
    )


async def test_a_capture_without_an_order_is_unknown(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.always(says(capture()))
    assert (await inquire(paypal, at=LATER)).result is GatewayResult.UNKNOWN


# Events


@pytest.mark.parametrize(
    "type", ["PAYMENT.CAPTURE.REFUNDED", "PAYMENT.REFUND.PENDING", "PAYMENT.REFUND.FAILED"]
)
def test_an_event_about_a_refund_has_no_evidence(paypal: PayPal, type: str) -> None:
    (notice,) = paypal.read_webhook(paypal_call(event(type, refund())))
    assert (notice.event_id, notice.reference, notice.evidence) == ("WH-1", None, None)
