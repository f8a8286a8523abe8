"""Stripe's pages, tokens and inquiries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import pytest

from domain.methods import GatewayName
from domain.money import Money
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, ORDER, REFERENCE, SENT, attempt, evidence_of_call
from tests.support.gateways.stripe import (
    API_KEY,
    PAGE,
    StripeDialect,
    event,
    intent,
    listed,
    session,
    stripe_call,
)
from tests.support.gateways.table import case

OURS = StripeDialect()
ATTEMPT = attempt(GatewayName.STRIPE)
BY_TOKEN = replace(ORDER, card_token="pm_card_visa")


@pytest.fixture
def stripe(http: Upstream) -> Stripe:
    return OURS.gateway(http)


def form(seen: Any) -> dict[str, str]:
    return dict(parse_qsl(seen.body.decode()))


# Pages


async def test_the_request_for_a_page_has_our_reference_in_every_place(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(OURS.acceptance())
    evidence = await stripe.start(ATTEMPT, ORDER, now=NOW)
    (seen,) = counterpart.seen
    assert (seen.method, seen.path) == ("POST", "/v1/checkout/sessions")
    assert seen.headers["authorization"] == f"Bearer {API_KEY}"
    assert seen.headers["idempotency-key"] == REFERENCE
    assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
    sent = form(seen)
    assert {value for name, value in sent.items() if "reference" in name} == {REFERENCE}
    assert sent["line_items[0][price_data][currency]"] == "vnd"
    assert sent["line_items[0][price_data][unit_amount]"] == "200000"
    assert sent["success_url"] == sent["cancel_url"] == ORDER.return_url
    assert (evidence.payment_url, evidence.gateway_id) == (PAGE, "cs_live_1")


async def test_a_page_lives_at_least_as_long_as_stripe_allows(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.always(OURS.acceptance())
    later = replace(ATTEMPT, expires_at=SENT + timedelta(hours=2))
    for requested in (ATTEMPT, later):
        await stripe.start(requested, ORDER, now=NOW)
    ends = [int(form(seen)["expires_at"]) for seen in counterpart.seen]
    assert ends == [
        int((SENT + timedelta(minutes=31)).timestamp()),
        int(later.expires_at.timestamp()),
    ]


@pytest.mark.parametrize(
    "other",
    [{"url": "javascript:alert(1)"}, {"url": None}, {"status": "complete"}, {"id": 7}],
    ids=["a script as address", "no address", "an unexpected status", "a number as id"],
)
async def test_a_malformed_acceptance_is_unknown(
    stripe: Stripe, counterpart: Counterpart, other: dict[str, Any]
) -> None:
    counterpart.will(says(session(**other)))
    assert (await stripe.start(ATTEMPT, ORDER, now=NOW)).result is GatewayResult.UNKNOWN


async def test_a_key_of_another_request_is_unknown(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(says({"error": {"type": "idempotency_error", "message": "…"}}, 400))
    assert (await stripe.start(ATTEMPT, ORDER, now=NOW)).result is GatewayResult.UNKNOWN


# Tokens


@pytest.mark.parametrize(
    ("token", "name"),
    [("pm_1AbC", "payment_method"), ("tok_1AbC", "payment_method_data[card][token]")],
)
async def test_a_token_is_charged_at_once(
    stripe: Stripe, counterpart: Counterpart, token: str, name: str
) -> None:
    counterpart.will(says(intent("paid")))
    evidence = await stripe.start(ATTEMPT, replace(ORDER, card_token=token), now=NOW)
    (seen,) = counterpart.seen
    assert (seen.path, seen.headers["idempotency-key"]) == ("/v1/payment_intents", REFERENCE)
    sent = form(seen)
    assert (sent["amount"], sent["currency"], sent["confirm"]) == ("200000", "vnd", "true")
    assert (sent[name], sent["metadata[reference]"]) == (token, REFERENCE)
    assert (evidence.result, evidence.source) == (GatewayResult.PAID, EvidenceSource.INQUIRY)
    assert (evidence.money, evidence.gateway_id) == (Money(200_000), "pi_77")


async def test_a_card_that_needs_authentication_leads_to_its_bank(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    redirect = {
        "type": "redirect_to_url",
        "redirect_to_url": {"url": "https://hooks.stripe.com/3ds"},
    }
    counterpart.will(says(intent("pending", next_action=redirect)))
    evidence = await stripe.start(ATTEMPT, BY_TOKEN, now=NOW)
    assert (evidence.result, evidence.payment_url) == (
        GatewayResult.ACCEPTED,
        "https://hooks.stripe.com/3ds",
    )


@case("every class of code", "Stripe")
@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (
            {"code": "card_declined", "decline_code": "insufficient_funds"},
            "insufficient_funds",
            "không đủ tiền",
        ),
        (
            {"code": "card_declined", "decline_code": "generic_decline"},
            "generic_decline",
            "bị từ chối",
        ),
        ({"code": "expired_card", "decline_code": "expired_card"}, "expired_card", "hết hạn"),
        ({"code": "incorrect_cvc", "decline_code": "incorrect_cvc"}, "incorrect_cvc", "Mã bảo mật"),
        ({"code": "card_declined"}, "card_declined", "bị từ chối"),
    ],
)
async def test_a_declined_card_has_a_code_and_a_helpful_sentence(
    stripe: Stripe, counterpart: Counterpart, error: dict[str, str], code: str, sentence: str
) -> None:
    counterpart.will(says({"error": {"type": "card_error", "message": "English"} | error}, 402))
    evidence = await stripe.start(ATTEMPT, BY_TOKEN, now=NOW)
    assert evidence.result is GatewayResult.DECLINED
    assert evidence.failure
    assert evidence.failure.code == code
    assert sentence in evidence.failure.message
    assert "English" not in evidence.failure.message


@case("every class of code", "Stripe")
@pytest.mark.parametrize("status", ["processing", "requires_capture", "anything new"])
async def test_an_undecided_status_is_unknown(
    stripe: Stripe, counterpart: Counterpart, status: str
) -> None:
    counterpart.will(says(intent(status=status)))
    known = replace(ATTEMPT, gateway_id="pi_77")
    assert (await stripe.inquire(known, now=NOW)).result is GatewayResult.UNKNOWN


async def test_no_repr_shows_the_key_or_a_token(stripe: Stripe) -> None:
    assert "pm_card_visa" not in repr(BY_TOKEN)
    assert API_KEY not in repr(vars(stripe).get("_http"))


# Inquiries


@pytest.mark.parametrize(
    ("id", "answer", "path"),
    [
        ("cs_live_1", session("paid"), "/v1/checkout/sessions/cs_live_1"),
        ("pi_77", intent("paid"), "/v1/payment_intents/pi_77"),
    ],
)
async def test_an_inquiry_uses_the_known_id(
    stripe: Stripe, counterpart: Counterpart, id: str, answer: dict[str, Any], path: str
) -> None:
    counterpart.will(says(answer))
    evidence = await stripe.inquire(replace(ATTEMPT, gateway_id=id), now=NOW)
    assert [seen.path for seen in counterpart.seen] == [path]
    assert (evidence.result, evidence.gateway_id) == (GatewayResult.PAID, "pi_77")


async def test_without_an_id_an_inquiry_searches_the_lists_of_that_time(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(
        listed(session("paid", "another", id="cs_9"), has_more=True),
        listed(session("paid", "a third", id="cs_8")),
        listed(intent("declined")),
    )
    evidence = await stripe.inquire(ATTEMPT, now=NOW)
    assert evidence.result is GatewayResult.DECLINED
    first, second, third = counterpart.seen
    assert first.path == second.path == "/v1/checkout/sessions"
    assert third.path == "/v1/payment_intents"
    assert int(first.fields["created[gte]"]) < SENT.timestamp() < int(first.fields["created[lte]"])
    assert "starting_after" not in first.fields
    assert second.fields["starting_after"] == "cs_9"


async def test_a_page_whose_address_was_lost_is_found_with_its_address(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(listed(session()))
    evidence = await stripe.inquire(ATTEMPT, now=NOW)
    assert (evidence.result, evidence.payment_url) == (GatewayResult.UNPAID, PAGE)


async def test_a_list_that_is_too_long_is_unknown(stripe: Stripe, counterpart: Counterpart) -> None:
    counterpart.always(listed(session("paid", "another"), has_more=True))
    assert (await stripe.inquire(ATTEMPT, now=NOW)).result is GatewayResult.UNKNOWN


async def test_a_card_that_was_declined_on_a_page_leaves_it_unpaid(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    tags = {"reference": REFERENCE, "page": "yes"}
    declined = intent("declined", metadata=tags)
    call = stripe_call(event("payment_intent.payment_failed", declined))
    assert evidence_of_call(stripe, call).result is GatewayResult.UNPAID
    counterpart.will(says(session(payment_intent=declined)))
    page = replace(ATTEMPT, gateway_id="cs_live_1")
    assert (await stripe.inquire(page, now=NOW)).result is GatewayResult.UNPAID
