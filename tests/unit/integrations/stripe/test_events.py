"""Stripe's events without evidence: they carry the reference of their object."""

from __future__ import annotations

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
def test_an_event_without_evidence_carries_the_reference_in_its_metadata(
    stripe: Stripe, metadata: Any, named: str | None
) -> None:
    charge = {"id": "ch_1", "object": "charge", "metadata": metadata}
    (notice,) = stripe.read_webhook(stripe_call(event("charge.refunded", charge)))
    assert (notice.reference, notice.evidence, notice.named) == (None, None, named)
