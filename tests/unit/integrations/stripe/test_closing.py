"""Closing unpaid pages, and charges that wait for the customer's bank, at Stripe."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.methods import GatewayName
from domain.money import Money
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Act, Counterpart, says
from tests.support.gateways.dialects import NOW, attempt
from tests.support.gateways.stripe import StripeDialect, intent, session

ATTEMPT = attempt(GatewayName.STRIPE)


@pytest.fixture
def stripe(http: Upstream) -> Stripe:
    return StripeDialect().gateway(http)


@pytest.mark.parametrize(
    ("id", "path", "closed"),
    [
        ("cs_1", "/v1/checkout/sessions/cs_1/expire", session("expired")),
        ("pi_1", "/v1/payment_intents/pi_1/cancel", intent("expired", status="canceled")),
    ],
)
async def test_an_unpaid_object_is_closed(
    stripe: Stripe, counterpart: Counterpart, id: str, path: str, closed: dict[str, Any]
) -> None:
    counterpart.will(says(closed))
    evidence = await stripe.close(replace(ATTEMPT, gateway_id=id), now=NOW)
    assert (evidence.result, evidence.source) == (GatewayResult.UNPAID, EvidenceSource.INQUIRY)
    assert [(seen.method, seen.path) for seen in counterpart.seen] == [("POST", path)]


async def test_an_object_that_cannot_be_closed_has_its_present_state(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    refusal = {"error": {"type": "invalid_request_error", "code": "resource_invalid"}}
    counterpart.will(says(refusal, 400), says(session("paid")))
    evidence = await stripe.close(replace(ATTEMPT, gateway_id="cs_1"), now=NOW)
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, Money(200_000))


async def test_an_answer_about_another_page_closes_nothing(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(says(session("expired", "another")), says(session()))
    evidence = await stripe.close(replace(ATTEMPT, gateway_id="cs_1"), now=NOW)
    assert (evidence.result, evidence.origin) == (GatewayResult.UNPAID, "stripe:inquiry")


@pytest.mark.parametrize(
    "act",
    [acts.server_error, acts.half_json, says({}, 401), says({}, 429), says({}, 409)],
    ids=["500", "half", "401", "429", "409"],
)
async def test_an_unclear_answer_is_unknown(
    stripe: Stripe, counterpart: Counterpart, act: Act
) -> None:
    counterpart.always(act)
    evidence = await stripe.close(replace(ATTEMPT, gateway_id="cs_1"), now=NOW)
    assert (evidence.result, evidence.source) == (GatewayResult.UNKNOWN, None)
