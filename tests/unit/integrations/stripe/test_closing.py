"""Closing at Stripe what nobody has paid: a page, or a charge that waits for the customer's bank."""

from dataclasses import replace
from typing import Any

import pytest

from domain.methods import GatewayName
from domain.money import Money
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways import counterpart as they
from tests.support.gateways.counterpart import Act, Counterpart, says
from tests.support.gateways.dialects import NOW, attempt
from tests.support.gateways.stripe import StripeDialect, intent, session

ATTEMPT = attempt(GatewayName.STRIPE)


@pytest.fixture
def stripe(http: Upstream) -> Stripe:
    return StripeDialect().gateway(http)


@pytest.mark.parametrize(
    ("number", "path", "ended"),
    [
        ("cs_1", "/v1/checkout/sessions/cs_1/expire", session("expired")),
        ("pi_1", "/v1/payment_intents/pi_1/cancel", intent("expired", status="canceled")),
    ],
)
async def test_what_nobody_has_paid_is_closed(
    stripe: Stripe, counterpart: Counterpart, number: str, path: str, ended: dict[str, Any]
) -> None:
    counterpart.will(says(ended))
    told = await stripe.close(replace(ATTEMPT, gateway_id=number), now=NOW)
    assert (told.result, told.source) == (GatewayResult.UNPAID, EvidenceSource.INQUIRY)
    assert [(seen.method, seen.path) for seen in counterpart.seen] == [("POST", path)]


async def test_what_can_no_longer_be_closed_says_how_it_stands(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    no = {"error": {"type": "invalid_request_error", "code": "resource_invalid"}}
    counterpart.will(says(no, 400), says(session("paid")))
    told = await stripe.close(replace(ATTEMPT, gateway_id="cs_1"), now=NOW)
    assert (told.result, told.money) == (GatewayResult.PAID, Money(200_000))


async def test_a_page_that_is_still_open_was_not_closed(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(says(session("expired", "another")), says(session()))
    told = await stripe.close(replace(ATTEMPT, gateway_id="cs_1"), now=NOW)
    assert (told.result, told.origin) == (GatewayResult.UNPAID, "stripe:inquiry")


@pytest.mark.parametrize(
    "act",
    [they.server_error, they.half_json, says({}, 401), says({}, 429), says({}, 409)],
    ids=["500", "half", "401", "429", "409"],
)
async def test_whether_it_was_closed_is_never_guessed(
    stripe: Stripe, counterpart: Counterpart, act: Act
) -> None:
    counterpart.always(act)
    told = await stripe.close(replace(ATTEMPT, gateway_id="cs_1"), now=NOW)
    assert (told.result, told.source) == (GatewayResult.UNKNOWN, None)
