"""PayPal's orders in dollars, their capture, and the events about them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.attempts import AttemptStatus
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.http.client import Upstream
from integrations.http.failures import NotConnected
from integrations.paypal.access import Access
from integrations.paypal.gateway import PayPal
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, ORDER, REFERENCE, attempt, evidence_of_call
from tests.support.gateways.paypal import (
    CAPTURE_ID,
    ORDER_ID,
    PAGE,
    PayPalDialect,
    capture,
    event,
    order,
    paypal_call,
    problem,
)
from tests.support.gateways.paypal import certificates as certificates_of
from tests.support.gateways.table import case

OURS = PayPalDialect()
ATTEMPT = attempt(GatewayName.PAYPAL, 770)
OPEN = replace(ATTEMPT, status=AttemptStatus.ACCEPTED)


@pytest.fixture
def paypal(http: Upstream) -> PayPal:
    return OURS.gateway(http)


# Orders


async def test_an_order_is_requested_in_dollars_with_our_reference(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.will(OURS.acceptance())
    evidence = await paypal.start(ATTEMPT, ORDER, now=NOW)
    (seen,) = counterpart.seen
    assert (seen.method, seen.path) == ("POST", "/v2/checkout/orders")
    assert seen.headers["paypal-request-id"] == REFERENCE
    assert seen.json["intent"] == "CAPTURE"
    (unit,) = seen.json["purchase_units"]
    assert unit["amount"] == {"currency_code": "USD", "value": "7.70"}
    assert {unit[name] for name in ("reference_id", "custom_id", "invoice_id")} == {REFERENCE}
    assert (evidence.payment_url, evidence.gateway_id) == (PAGE, ORDER_ID)


async def test_without_a_token_no_order_is_requested(
    http: Upstream, counterpart: Counterpart
) -> None:
    access = Access(http, client_id="us", client_secret="secret")
    paypal = PayPal(
        http,
        bearer=access,
        on_token_refused=access.forget,
        webhook_id="W",
        certificates=certificates_of(http),
    )
    counterpart.always(acts.server_error)
    evidence = await paypal.start(ATTEMPT, ORDER, now=NOW)
    assert evidence.result is GatewayResult.NOT_CONNECTED
    assert {seen.path for seen in counterpart.seen} == {"/v1/oauth2/token"}


async def test_a_token_is_fetched_once_and_again_after_a_refusal(
    http: Upstream, counterpart: Counterpart
) -> None:
    access = Access(http, client_id="us", client_secret="secret")
    counterpart.always(says({"access_token": "A21", "expires_in": 32400}))
    assert [await access(), await access()] == ["Bearer A21"] * 2
    (seen,) = counterpart.seen
    assert seen.headers["authorization"] == "Basic dXM6c2VjcmV0"
    assert seen.body == b"grant_type=client_credentials"
    access.forget()
    await access()
    assert len(counterpart.seen) == 2
    counterpart.always(says({"error": "invalid_client"}, 401))
    access.forget()
    with pytest.raises(NotConnected):
        await access()


# Captures


async def test_an_approved_order_is_captured_under_a_key_of_its_own(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.will(
        says(order("APPROVED")), says(order("COMPLETED", REFERENCE, capture(amount=770)), 201)
    )
    evidence = await paypal.inquire(OPEN, now=NOW)
    inquiry, captured = counterpart.seen
    assert (inquiry.method, captured.method) == ("GET", "POST")
    assert captured.path == f"/v2/checkout/orders/{ORDER_ID}/capture"
    assert captured.headers["paypal-request-id"] == f"{REFERENCE}-capture"
    assert (evidence.result, evidence.source) == (GatewayResult.PAID, EvidenceSource.INQUIRY)
    assert (evidence.money, evidence.gateway_id) == (Money(770, Currency.USD), CAPTURE_ID)


@pytest.mark.parametrize(
    "status", [AttemptStatus.CANCELLED, AttemptStatus.EXPIRED, AttemptStatus.DECLINED]
)
async def test_nothing_is_captured_for_a_payment_that_has_ended(
    paypal: PayPal, counterpart: Counterpart, status: AttemptStatus
) -> None:
    counterpart.always(says(order("APPROVED")))
    assert (
        await paypal.inquire(replace(ATTEMPT, status=status), now=NOW)
    ).result is GatewayResult.UNPAID
    assert [seen.method for seen in counterpart.seen] == ["GET"]


@pytest.mark.parametrize("silence", [acts.silence, acts.reset, acts.server_error, acts.truncated])
async def test_a_capture_without_an_answer_is_unknown_and_sent_once(
    paypal: PayPal, counterpart: Counterpart, silence: acts.Act
) -> None:
    counterpart.will(says(order("APPROVED")), silence)
    assert (await paypal.inquire(OPEN, now=NOW)).result is GatewayResult.UNKNOWN
    assert len(counterpart.seen) == 2


@case("every class of code", "PayPal")
@pytest.mark.parametrize(
    ("issue", "result"),
    [
        ("INSTRUMENT_DECLINED", GatewayResult.DECLINED),
        ("TRANSACTION_REFUSED", GatewayResult.DECLINED),
        ("ORDER_ALREADY_CAPTURED", GatewayResult.UNKNOWN),
        ("ORDER_NOT_APPROVED", GatewayResult.UNKNOWN),
        ("ANYTHING_NEW", GatewayResult.UNKNOWN),
    ],
)
async def test_a_refused_capture_is_a_decline_only_where_it_leaves_no_doubt(
    paypal: PayPal, counterpart: Counterpart, issue: str, result: GatewayResult
) -> None:
    counterpart.will(says(order("APPROVED")), problem("UNPROCESSABLE_ENTITY", issue, 422))
    evidence = await paypal.inquire(OPEN, now=NOW)
    assert evidence.result is result


@case("every class of code", "PayPal")
@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("COMPLETED", GatewayResult.PAID),
        ("REFUNDED", GatewayResult.PAID),
        ("PARTIALLY_REFUNDED", GatewayResult.PAID),
        ("DECLINED", GatewayResult.DECLINED),
        ("FAILED", GatewayResult.DECLINED),
        ("PENDING", GatewayResult.UNKNOWN),
        ("SOMETHING_NEW", GatewayResult.UNKNOWN),
    ],
)
async def test_a_complete_order_has_the_result_of_its_capture(
    paypal: PayPal, counterpart: Counterpart, status: str, result: GatewayResult
) -> None:
    counterpart.will(says(order("COMPLETED", REFERENCE, capture(status))))
    assert (await paypal.inquire(OPEN, now=NOW)).result is result


async def test_an_order_whose_id_was_lost_is_unpaid(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    lost = replace(ATTEMPT, gateway_id=None, status=AttemptStatus.UNKNOWN)
    assert (await paypal.inquire(lost, now=NOW)).result is GatewayResult.UNPAID
    assert counterpart.seen == []


async def test_a_paid_order_is_inquired_by_its_captures_id(
    paypal: PayPal, counterpart: Counterpart
) -> None:
    counterpart.will(says(capture()))
    known = replace(ATTEMPT, gateway_id=CAPTURE_ID, paid_under=(CAPTURE_ID,))
    assert (await paypal.inquire(known, now=NOW)).result is GatewayResult.PAID
    assert counterpart.seen[0].path == f"/v2/payments/captures/{CAPTURE_ID}"


@pytest.mark.parametrize("value", ["2000.5", "2,000", "2e3", "-1.00", "2000.001", "2000.000", None])
def test_a_capture_with_an_unreadable_amount_is_paid_without_money(
    paypal: PayPal, value: Any
) -> None:
    resource = capture() | {"amount": {"currency_code": "USD", "value": value}}
    call = paypal_call(event("PAYMENT.CAPTURE.COMPLETED", resource))
    evidence = evidence_of_call(paypal, call)
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, None)


def test_another_currency_is_no_money(paypal: PayPal) -> None:
    resource = capture() | {"amount": {"currency_code": "EUR", "value": "2000.00"}}
    call = paypal_call(event("PAYMENT.CAPTURE.COMPLETED", resource))
    assert evidence_of_call(paypal, call).money is None


# Events


def test_an_approval_is_unknown_so_that_an_inquiry_follows(paypal: PayPal) -> None:
    call = paypal_call(event("CHECKOUT.ORDER.APPROVED", order("APPROVED")))
    evidence = evidence_of_call(paypal, call)
    assert (evidence.result, evidence.source) == (GatewayResult.UNKNOWN, EvidenceSource.WEBHOOK)


@pytest.mark.parametrize("type", ["PAYMENT.CAPTURE.REFUNDED", "BILLING.PLAN.CREATED", ""])
def test_an_event_about_anything_else_has_no_evidence(paypal: PayPal, type: str) -> None:
    (notice,) = paypal.read_webhook(paypal_call(event(type, {"id": "X"})))
    assert (notice.event_id, notice.reference, notice.evidence) == ("WH-1", None, None)


NAMED: dict[str, tuple[dict[str, Any], str | None]] = {
    "a refund": ({"custom_id": "webshop-4711"}, "webshop-4711"),
    "a dispute": ({"disputed_transactions": [{"custom": "webshop-4711"}]}, "webshop-4711"),
    "a dispute without transactions": ({"disputed_transactions": []}, None),
    "another shape": ({"disputed_transactions": [1], "custom_id": 5}, None),
    "another kind": ({"disputed_transactions": {"custom": "x"}}, None),
}


@pytest.mark.parametrize(("resource", "named"), NAMED.values(), ids=NAMED)
def test_an_event_without_evidence_carries_the_reference_of_its_resource(
    paypal: PayPal, resource: dict[str, Any], named: str | None
) -> None:
    (notice,) = paypal.read_webhook(paypal_call(event("CUSTOMER.DISPUTE.CREATED", resource)))
    assert (notice.reference, notice.evidence, notice.named) == (None, None, named)


def test_a_capture_without_a_reference_is_not_ours(paypal: PayPal) -> None:
    resource = {name: value for name, value in capture().items() if name != "custom_id"}
    (notice,) = paypal.read_webhook(paypal_call(event("PAYMENT.CAPTURE.COMPLETED", resource)))
    assert (notice.reference, notice.evidence, notice.named) == (None, None, "")
