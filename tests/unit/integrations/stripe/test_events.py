"""Stripe's events that are not about money: they carry the reference on their object."""

from typing import Any

import pytest

from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways.stripe import StripeDialect, event, stripe_call


@pytest.fixture
def stripe(http: Upstream) -> Stripe:
    return StripeDialect().gateway(http)


@pytest.mark.parametrize(
    ("metadata", "named"),
    [({"reference": "ORDER-778"}, "ORDER-778"), ({}, None), (None, None), ([1], None), ({"reference": 5}, None)],
)  # fmt: skip
def test_what_is_not_about_money_carries_the_name_that_it_bears(
    stripe: Stripe, metadata: Any, named: str | None
) -> None:
    about = {"id": "ch_1", "object": "charge", "metadata": metadata}
    (notice,) = stripe.read_webhook(stripe_call(event("charge.refunded", about)))
    assert (notice.reference, notice.evidence, notice.named) == (None, None, named)
