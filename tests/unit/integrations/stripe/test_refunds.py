"""Giving money back through Stripe: once, however often it is asked for or about, and never guessed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest

from domain.methods import GatewayName
from domain.payment_evidence import Finding
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways import counterpart as they
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


async def test_a_refund_is_asked_for_under_its_own_key(
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
    assert (evidence.finding, evidence.gateway_id) == (Finding.PAID, "re_1")


@pytest.mark.parametrize(
    ("answer", "finding"),
    [
        (says(refund("pending")), Finding.UNKNOWN),
        (says(refund("failed")), Finding.DECLINED),
        (says(refund(amount=1)), Finding.UNKNOWN),
        (error("charge_already_refunded"), Finding.DECLINED),
        (error("amount_too_large"), Finding.DECLINED),
        (error("", type="idempotency_error"), Finding.UNKNOWN),
        (error("lock_timeout", 409), Finding.UNKNOWN),
        (error("rate_limit", 429), Finding.UNKNOWN),
        (error("", 401), Finding.UNKNOWN),
        (they.silence, Finding.UNKNOWN),
        (they.reset, Finding.UNKNOWN),
        (they.server_error, Finding.UNKNOWN),
    ],
)
async def test_an_answer_is_worth_what_it_says_and_the_request_is_sent_once(
    stripe: Stripe, counterpart: Counterpart, answer: Act, finding: Finding
) -> None:
    counterpart.always(answer)
    assert (await stripe.refund(PAID, REVERSAL, whole=True, now=NOW)).finding is finding
    assert len(counterpart.seen) == 1


async def test_a_refund_that_is_listed_is_not_asked_for_again(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    other = refund(id="re_0", metadata={"reference": "another"})
    counterpart.will(listed(other, refund()))
    evidence = await stripe.inquire_refund(PAID, REVERSAL, known=(), now=NOW)
    assert (evidence.finding, evidence.gateway_id) == (Finding.PAID, "re_1")
    assert [seen.method for seen in counterpart.seen] == ["GET"]


async def test_one_that_never_arrived_is_asked_for_again_while_its_key_is_known(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.will(listed(), says(refund()))
    evidence = await stripe.inquire_refund(PAID, REVERSAL, known=(), now=NOW)
    assert evidence.finding is Finding.PAID
    assert counterpart.seen[1].headers["idempotency-key"] == REVERSAL.id


async def test_after_a_day_the_list_is_the_last_word(
    stripe: Stripe, counterpart: Counterpart
) -> None:
    counterpart.always(listed())
    later = NOW + timedelta(days=1)
    evidence = await stripe.inquire_refund(PAID, REVERSAL, known=(), now=later)
    assert evidence.finding is Finding.UNPAID
    assert [seen.method for seen in counterpart.seen] == ["GET"]
