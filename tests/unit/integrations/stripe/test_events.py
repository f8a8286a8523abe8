"""Stripe's events: their signatures, their evidence, and the replies to them."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.gateways import BadCall, Call, Verdict
from domain.money import Currency, Money
from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways.dialects import NOW, evidence_of_call
from tests.support.gateways.stripe import (
    API_KEY,
    StripeDialect,
    event,
    intent,
    session,
    stripe_call,
)

VECTORS: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "card_vectors.json").read_text()
)["stripe"]


@pytest.fixture
def stripe(http: Upstream) -> Stripe:
    return StripeDialect().gateway(http)


@pytest.mark.parametrize(
    ("metadata", "named"),
    [
        ({"reference": "ORDER-778"}, "ORDER-778"),
        ({}, None),
        (None, None),
        ([1], None),
        ({"reference": 5}, None),
    ],
)
def test_an_event_without_evidence_carries_the_reference_in_its_metadata(
    stripe: Stripe, metadata: Any, named: str | None
) -> None:
    charge = {"id": "ch_1", "object": "charge", "metadata": metadata}
    (notice,) = stripe.read_webhook(stripe_call(event("charge.refunded", charge)))
    assert (notice.reference, notice.evidence, notice.named) == (None, None, named)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_every_printed_signature_verifies_or_is_refused(
    http: Upstream, vector: dict[str, Any]
) -> None:
    stamp, _, payload = vector["canonical"].partition(".")
    presented = vector.get("presented", vector["expected"])
    call = Call(
        method="POST",
        query="",
        headers={"Stripe-Signature": vector.get("header", f"t={stamp},v1={presented}")},
        body=payload.encode(),
        received_at=datetime.fromtimestamp(vector.get("now", int(stamp)), UTC),
    )
    stripe = Stripe(http, api_key=API_KEY, webhook_secrets=["another", vector["secret"]])
    if vector.get("negative"):
        with pytest.raises(BadCall):
            stripe.read_webhook(call)
    else:
        (notice,) = stripe.read_webhook(call)
        assert notice.event_id == json.loads(payload)["id"]


def paid(**other: Any) -> bytes:
    return event("checkout.session.completed", session("paid", payment_intent="pi_77", **other))


@pytest.mark.parametrize("age", [-300, 0, 300])
def test_a_signature_is_valid_for_five_minutes(stripe: Stripe, age: int) -> None:
    assert evidence_of_call(stripe, stripe_call(paid(), at=NOW - timedelta(seconds=age)))


@pytest.mark.parametrize("age", [-301, 301, 86_400])
def test_an_old_signature_or_one_from_the_future_is_refused(stripe: Stripe, age: int) -> None:
    with pytest.raises(BadCall, match="too old"):
        stripe.read_webhook(stripe_call(paid(), at=NOW - timedelta(seconds=age)))


def test_either_secret_signs_during_a_rotation(stripe: Stripe) -> None:
    assert evidence_of_call(stripe, stripe_call(paid(), secret="whsec_old"))
    with pytest.raises(BadCall):
        stripe.read_webhook(stripe_call(paid(), secret="whsec_third"))


@pytest.mark.parametrize("type", ["charge.succeeded", "charge.refunded", "customer.created"])
def test_an_event_about_anything_else_has_no_evidence(stripe: Stripe, type: str) -> None:
    (notice,) = stripe.read_webhook(stripe_call(event(type, {"id": "ch_1", "object": "charge"})))
    assert (notice.event_id, notice.reference, notice.evidence) == ("evt_1", None, None)


def test_a_payment_of_another_program_in_the_same_account_is_not_ours(stripe: Stripe) -> None:
    foreign = intent(metadata={})
    (notice,) = stripe.read_webhook(stripe_call(event("payment_intent.succeeded", foreign)))
    assert (notice.reference, notice.evidence) == (None, None)
    assert notice.named == ""


@pytest.mark.parametrize("amount", [200_000.5, "200.000", True, None, -1, 2**53])
def test_a_signed_payment_with_an_unreadable_amount_is_paid_without_money(
    stripe: Stripe, amount: Any
) -> None:
    evidence = evidence_of_call(stripe, stripe_call(paid(amount_total=amount)))
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, None)


def test_another_currency_stays_as_it_is(stripe: Stripe) -> None:
    assert evidence_of_call(stripe, stripe_call(paid(currency="usd"))).money == Money(
        200_000, Currency.USD
    )
    assert evidence_of_call(stripe, stripe_call(paid(currency="xxx"))).money is None


def test_a_complete_page_that_is_not_paid_yet_is_unknown(stripe: Stripe) -> None:
    complete = session("declined", payment_intent="pi_77")
    call = stripe_call(event("checkout.session.completed", complete))
    assert evidence_of_call(stripe, call).result is GatewayResult.UNKNOWN


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.ACCEPTED, 200),
        (Verdict.ALREADY_DONE, 200),
        (Verdict.WRONG_AMOUNT, 200),
        (Verdict.UNKNOWN_REFERENCE, 404),
        (Verdict.BAD_SIGNATURE, 400),
        (Verdict.OUR_ERROR, 500),
    ],
)
def test_stripe_gets_a_status_for_each_verdict(
    stripe: Stripe, verdict: Verdict, status: int
) -> None:
    assert stripe.answer(verdict).status == status


@pytest.mark.parametrize(("others", "accepted"), [(9, True), (10, False)])
def test_a_call_with_too_many_signatures_is_refused(
    stripe: Stripe, others: int, accepted: bool
) -> None:
    call = stripe_call(event("customer.created", {}))
    stamp, _, proofs = call.headers["stripe-signature"].partition(",")
    genuine = proofs.partition(",")[0]
    padded = ",".join([stamp, *[f"v1={'0' * 64}"] * others, genuine])
    call = replace(call, headers={"stripe-signature": padded})
    if accepted:
        assert stripe.read_webhook(call)
    else:
        with pytest.raises(BadCall, match="malformed"):
            stripe.read_webhook(call)
