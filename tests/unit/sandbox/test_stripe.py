"""Stripe through its own library: sessions, intents, refunds, lists, errors and webhooks."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest
import stripe
from starlette.responses import JSONResponse

from tests.support.sandbox.merchant import Merchant

KEY, SECRET = "sandbox-stripe-key", "whsec_sandbox-stripe-secret"


@pytest.fixture
def client(sandbox: httpx.Client) -> stripe.StripeClient:
    address = f"{str(sandbox.base_url).rstrip('/')}/stripe"
    return stripe.StripeClient(KEY, base_addresses={"api": address}, max_network_retries=0)


def page(**changes: Any) -> Any:
    return {
        "mode": "payment",
        "client_reference_id": "R1",
        "metadata": {"reference": "R1"},
        "payment_intent_data": {"metadata": {"reference": "R1"}},
        "line_items": [
            {
                "quantity": 1,
                "price_data": {
                    "currency": "vnd",
                    "unit_amount": 200_000,
                    "product_data": {"name": "Cước Internet SGFDN1015"},
                },
            }
        ],
        "success_url": "https://pay.example.vn/return",
    } | changes


def charge(**changes: Any) -> Any:
    return {
        "amount": 200_000,
        "currency": "vnd",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "metadata": {"reference": "R1"},
    } | changes


def event(call: Any) -> Any:
    """Verify a webhook with Stripe's library and return its event."""
    signature = call.headers["stripe-signature"]
    return stripe.Webhook.construct_event(call.body, signature, SECRET)


def test_a_session_is_opened_shown_paid_and_reported(
    client: stripe.StripeClient, sandbox: httpx.Client, merchant: Merchant, truth: Any
) -> None:
    opened = client.v1.checkout.sessions.create(page())
    assert (opened.status, opened.payment_status, opened.payment_intent) == (
        "open",
        "unpaid",
        None,
    )
    assert opened.url
    assert "200.000 ₫" in sandbox.get(opened.url).text
    back = sandbox.post(opened.url, data={"outcome": "paid"})
    assert back.headers["location"] == "https://pay.example.vn/return"
    [call] = merchant.wait_for(1)
    assert call.path == "/webhooks/stripe"
    completed = event(call)
    assert completed.type == "checkout.session.completed"
    assert completed.data.object["payment_status"] == "paid"
    paid = client.v1.checkout.sessions.retrieve(opened.id, {"expand": ["payment_intent"]})
    assert (paid.status, paid.amount_total, paid.currency) == ("complete", 200_000, "vnd")
    intent: Any = paid.payment_intent
    assert (intent.status, intent.metadata["reference"]) == ("succeeded", "R1")
    assert sandbox.post(opened.url, data={"outcome": "paid"}).status_code == 410
    (stored,) = truth()["charges"]
    assert (stored["status"], stored["amount"], stored["currency"]) == ("paid", 200_000, "VND")


def test_a_token_is_charged_at_once(
    client: stripe.StripeClient, merchant: Merchant, truth: Any
) -> None:
    charged = client.v1.payment_intents.create(charge())
    assert (charged.status, charged.amount_received) == ("succeeded", 200_000)
    [call] = merchant.wait_for(1)
    assert event(call).type == "payment_intent.succeeded"
    assert client.v1.payment_intents.retrieve(charged.id).status == "succeeded"
    assert truth()["charges"][0]["status"] == "paid"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
    ],
)
def test_a_declined_card_is_an_error_with_its_reason(
    client: stripe.StripeClient, merchant: Merchant, truth: Any, token: str, code: str
) -> None:
    with pytest.raises(stripe.CardError) as declined:
        client.v1.payment_intents.create(charge(payment_method=token))
    body: Any = declined.value.json_body
    assert declined.value.http_status == 402
    assert body["error"]["decline_code"] == code
    assert body["error"]["payment_intent"]["status"] == "requires_payment_method"
    [call] = merchant.wait_for(1)
    assert event(call).type == "payment_intent.payment_failed"
    assert truth()["charges"][0]["status"] == "declined"


def test_a_card_with_3d_secure_waits_for_its_customer(
    client: stripe.StripeClient, play: Any, merchant: Merchant
) -> None:
    waiting: Any = client.v1.payment_intents.create(
        charge(payment_method="pm_card_threeDSecure2Required", return_url="https://a.vn/return")
    )
    assert waiting.status == "requires_action"
    play(payment_url=waiting.next_action.redirect_to_url.url)
    assert event(merchant.wait_for(1)[0]).type == "payment_intent.succeeded"
    assert client.v1.payment_intents.retrieve(waiting.id).status == "succeeded"


def test_a_key_makes_charges_and_declines_safe_to_repeat(
    client: stripe.StripeClient, truth: Any
) -> None:
    key: Any = {"idempotency_key": "K1"}
    first, second = (client.v1.payment_intents.create(charge(), key) for _ in range(2))
    assert first.id == second.id
    with pytest.raises(stripe.IdempotencyError):
        client.v1.payment_intents.create(charge(amount=1), key)
    declined: Any = {"idempotency_key": "K2"}
    for _ in range(2):
        with pytest.raises(stripe.CardError):
            client.v1.payment_intents.create(
                charge(payment_method="pm_card_visa_chargeDeclined"), declined
            )
    assert [item["status"] for item in truth()["charges"]] == ["paid", "declined"]


def test_without_a_key_every_request_charges(client: stripe.StripeClient, truth: Any) -> None:
    assert len({client.v1.payment_intents.create(charge()).id for _ in range(2)}) == 2
    assert len(truth()["charges"]) == 2


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"amount": 0}, "amount"),
        ({"amount": "2e5"}, "amount"),
        ({"amount": 100_000_000}, "amount"),
        ({"currency": "xyz"}, "currency"),
        ({"payment_method": "pm_unknown"}, "payment_method"),
        ({"colour": "red"}, "colour"),
        ({"return_url": "nowhere"}, "return_url"),
    ],
)
def test_an_invalid_parameter_is_named_and_charges_nothing(
    client: stripe.StripeClient, truth: Any, changes: Any, param: str
) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        client.v1.payment_intents.create(charge(**changes))
    assert refused.value.param == param
    assert truth()["charges"] == []


def test_a_missing_parameter_is_named(client: stripe.StripeClient) -> None:
    body = page()
    del body["success_url"]
    with pytest.raises(stripe.InvalidRequestError, match="success_url"):
        client.v1.checkout.sessions.create(body)


@pytest.mark.parametrize("seconds", [1700, 86_500])
def test_a_session_lasts_half_an_hour_to_a_day(client: stripe.StripeClient, seconds: int) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="expires_at"):
        client.v1.checkout.sessions.create(page(expires_at=int(time.time()) + seconds))


def test_a_wrong_key_is_refused_everywhere(sandbox: httpx.Client, truth: Any) -> None:
    for path in ("/stripe/v1/payment_intents", "/stripe/v1/checkout/sessions"):
        wrong = {"Authorization": "Bearer sandbox-another-key"}
        assert sandbox.post(path, headers=wrong, data=charge()).status_code == 401
        assert sandbox.get(path).status_code == 401
    assert truth()["charges"] == []


def test_lists_are_paged_newest_first_within_the_requested_time(
    client: stripe.StripeClient,
) -> None:
    made = [client.v1.payment_intents.create(charge(metadata={"n": str(n)})).id for n in range(5)]
    now = int(time.time())
    created: Any = {"gte": now - 60, "lte": now + 60}
    listed = client.v1.payment_intents.list({"created": created, "limit": 2})
    assert [item.id for item in listed.auto_paging_iter()] == made[::-1]
    later: Any = {"gte": now + 60}
    assert client.v1.payment_intents.list({"created": later}).data == []
    client.v1.checkout.sessions.create(page())
    assert len(client.v1.checkout.sessions.list().data) == 1
    assert len(client.v1.payment_intents.list().data) == 5, "nobody has tried to pay there"


def test_an_expired_session_cannot_be_paid(client: stripe.StripeClient) -> None:
    opened = client.v1.checkout.sessions.create(page())
    assert client.v1.checkout.sessions.expire(opened.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.expire(opened.id)


def test_refunds_add_up_to_what_was_paid(client: stripe.StripeClient, truth: Any) -> None:
    paid = client.v1.payment_intents.create(charge())
    part: Any = {"payment_intent": paid.id, "amount": 50_000, "metadata": {"reference": "F1"}}
    key: Any = {"idempotency_key": "F1"}
    first, second = (client.v1.refunds.create(part, key) for _ in range(2))
    assert (first.id, first.amount, first.status) == (second.id, 50_000, "succeeded")
    with pytest.raises(stripe.InvalidRequestError, match="greater"):
        client.v1.refunds.create({"payment_intent": paid.id, "amount": 150_001})
    client.v1.refunds.create({"payment_intent": paid.id})
    with pytest.raises(stripe.InvalidRequestError, match="refunded"):
        client.v1.refunds.create({"payment_intent": paid.id})
    listed = client.v1.refunds.list({"payment_intent": paid.id}).data
    assert [refund.amount for refund in listed] == [150_000, 50_000]
    assert truth()["charges"][0]["refunded"] == 200_000


def test_a_charge_that_the_merchant_closes_is_reported_and_stays_unpaid(
    client: stripe.StripeClient, play: Any, merchant: Merchant, truth: Any
) -> None:
    opened = client.v1.checkout.sessions.create(page())
    assert client.v1.checkout.sessions.expire(opened.id).status == "expired"
    assert event(merchant.wait_for(1)[0]).type == "checkout.session.expired"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.checkout.sessions.expire(opened.id)
    assert play(payment_url=opened.url)["status"] == "expired"
    waits = charge(payment_method="pm_card_authenticationRequired")
    charged = client.v1.payment_intents.create(waits)
    assert client.v1.payment_intents.cancel(charged.id).status == "canceled"
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.cancel(charged.id)
    paid = client.v1.payment_intents.create(charge())
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.payment_intents.cancel(paid.id)
    assert sorted(item["status"] for item in truth()["charges"]) == ["expired", "expired", "paid"]


def test_only_paid_charges_are_refunded(client: stripe.StripeClient) -> None:
    with pytest.raises(stripe.CardError) as declined:
        client.v1.payment_intents.create(charge(payment_method="pm_card_visa_chargeDeclined"))
    body: Any = declined.value.json_body
    with pytest.raises(stripe.InvalidRequestError):
        client.v1.refunds.create({"payment_intent": body["error"]["payment_intent"]["id"]})


def test_an_event_is_repeated_until_it_is_answered_by_a_2xx(
    client: stripe.StripeClient, play: Any, merchant: Merchant
) -> None:
    answers = iter([JSONResponse({}, 500), JSONResponse({}, 404)])
    merchant.answer = lambda _: next(answers, JSONResponse({"received": True}))
    client.v1.checkout.sessions.create(page())
    answer = play(reference="R1", outcome="declined")
    assert answer["webhooks"] == [{"status_code": 500, "body": {}}]
    calls = merchant.wait_for(3)
    assert {event(call).id for call in calls} == {json.loads(calls[0].body)["id"]}
    assert event(calls[0]).type == "checkout.session.async_payment_failed"


def test_a_forged_event_does_not_verify(
    client: stripe.StripeClient, play: Any, merchant: Merchant
) -> None:
    client.v1.checkout.sessions.create(page())
    play(reference="R1", bad_signature=True)
    with pytest.raises(stripe.SignatureVerificationError):
        event(merchant.calls[0])
