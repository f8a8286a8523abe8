"""Refunds through Stripe: once, and with a result that is never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest

from domain.methods import GatewayName
from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Act, Counterpart, says
from tests.support.gateways.dialects import NOW, attempt, reversal
from tests.support.gateways.stripe import StripeDialect, listed, refund

REVERSAL = reversal(GatewayName.STRIPE)
PAID = replace(attempt(GatewayName.STRIPE), gateway_id="pi_77")


@pytest.fixture
def stripe(http: Upstream) -> Stripe:
    return StripeDialect().gateway(http)


def error(code: str, status: int = 400, type: str = "invalid_request_error") -> Act:
    return says({"error": {"type": type, "code": code}}, status)


async def test_a_refund_is_requested_under_its_own_key(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(says(refund()))
    evidence = await stripe.refund(PAID, REVERSAL, whole=False, now=NOW)
    (seen,) = counterpart.seen
    assert (seen.method, seen.path) == ("POST", "/v1/refunds")
    assert seen.headers["idempotency-key"] == REVERSAL.id
    sent = dict(parse_qsl(seen.body.decode()))
    assert (sent["payment_intent"], sent["amount"]) == ("pi_77", "50000")
    assert sent["metadata[reference]"] == REVERSAL.id
    assert (evidence.result, evidence.gateway_id) == (GatewayResult.PAID, "re_1")


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (says(refund("pending")), GatewayResult.UNKNOWN),
        (says(refund("failed")), GatewayResult.DECLINED),
        (says(refund(amount=1)), GatewayResult.UNKNOWN),
        (error("charge_already_refunded"), GatewayResult.DECLINED),
        (error("amount_too_large"), GatewayResult.DECLINED),
        (error("", type="idempotency_error"), GatewayResult.UNKNOWN),
        (error("lock_timeout", 409), GatewayResult.UNKNOWN),
        (error("rate_limit", 429), GatewayResult.UNKNOWN),
        (error("", 401), GatewayResult.UNKNOWN),
        (acts.silence, GatewayResult.UNKNOWN),
        (acts.reset, GatewayResult.UNKNOWN),
        (acts.server_error, GatewayResult.UNKNOWN),
    ],
)
async def test_each_answer_has_its_result_and_the_request_is_sent_once(
    stripe: Stripe, counterpart: Counterpart, answer: Act, result: GatewayResult
) -> None:
    counterpart.always(answer)
    assert (await stripe.refund(PAID, REVERSAL, whole=True, now=NOW)).result is result
    assert len(counterpart.seen) == 1


async def test_a_listed_refund_is_not_requested_again(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    other = refund(id="re_0", metadata={"reference": "another"})
    counterpart.will(listed(other, refund()))
    evidence = await stripe.inquire_refund(PAID, REVERSAL, known=(), now=NOW)
    assert (evidence.result, evidence.gateway_id) == (GatewayResult.PAID, "re_1")
    assert [seen.method for seen in counterpart.seen] == ["GET"]


async def test_a_missing_refund_is_requested_again_while_its_key_is_remembered(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(listed(), says(refund()))
    evidence = await stripe.inquire_refund(PAID, REVERSAL, known=(), now=NOW)
    assert evidence.result is GatewayResult.PAID
    assert counterpart.seen[1].headers["idempotency-key"] == REVERSAL.id


async def test_after_a_day_the_list_decides(stripe: Stripe, counterpart: Counterpart) -> None:
    counterpart.always(listed())
    later = NOW + timedelta(days=1)
    evidence = await stripe.inquire_refund(PAID, REVERSAL, known=(), now=later)
    assert evidence.result is GatewayResult.UNPAID
    assert [seen.method for seen in counterpart.seen] == ["GET"]
