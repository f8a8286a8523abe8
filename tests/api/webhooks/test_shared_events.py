"""Events about another program's objects are recognised by the references on them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.gateways import paypal, stripe
from tests.support.gateways.callers import send
from tests.support.gateways.shared_accounts import (
    CALLERS,
    an_hour_passes,
    api_settings,
    different,
    introduced,
    outcomes,
    unshared,
)
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]
__all__ = ["api_settings", "introduced", "unshared"]  # fixtures of this module alone

OURS = "MB01K1ABCDEFGH234567"


def stripe_event(api: Api, type: str, about: dict[str, Any]) -> str:
    """Send one of Stripe's events; return its outcome."""
    id = f"evt_{datetime.now(UTC).timestamp()}"
    body = json.loads(stripe.event(type, about, id))
    caller = CALLERS["STRIPE"]
    assert send(api, caller, caller.sign(body, datetime.now(UTC))).status_code == 200
    (row,) = api.rows("select outcome from webhook_event where event_id = $1", id)
    return row["outcome"]


def paypal_event(api: Api, type: str, about: dict[str, Any]) -> str:
    id = f"WH-{datetime.now(UTC).timestamp()}"
    body = json.loads(paypal.event(type, about, id))
    caller = CALLERS["PAYPAL"]
    assert send(api, caller, caller.sign(body, datetime.now(UTC))).status_code == 200
    (row,) = api.rows("select outcome from webhook_event where event_id = $1", id)
    return row["outcome"]


def a_charge(**metadata: str) -> dict[str, Any]:
    return {"id": "ch_1", "object": "charge", "amount": 17_470, "metadata": metadata}


STRIPE_EVENTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "their charge": ("charge.succeeded", a_charge(reference="ORDER-778"), "FOREIGN"),
    "their refund": ("charge.refunded", a_charge(reference="ORDER-778"), "FOREIGN"),
    "their dispute": (
        "charge.dispute.created",
        {"id": "dp_1", "object": "dispute", "metadata": {"reference": "ORDER-778"}},
        "FOREIGN",
    ),
    "their page, unpaid": (
        "checkout.session.expired",
        stripe.session("expired", "ORDER-778"),
        "FOREIGN",
    ),
    "their page, by our name for it elsewhere": (
        "checkout.session.completed",
        stripe.session("paid", "ORDER-778", metadata={"order": "778"}),
        "FOREIGN",
    ),
    "a page that names nothing": (
        "checkout.session.completed",
        stripe.session("paid", client_reference_id=None),
        "FOREIGN",
    ),
    "a payment that names nothing": (
        "payment_intent.succeeded",
        stripe.intent("paid", metadata={}),
        "FOREIGN",
    ),
    "a payment that names it otherwise": (
        "payment_intent.succeeded",
        stripe.intent("paid", metadata={"order_id": "778"}),
        "FOREIGN",
    ),
    "our charge": ("charge.succeeded", a_charge(reference=OURS), "STALE"),
    "our refund": (
        "refund.updated",
        {
            "id": "re_1",
            "object": "refund",
            "metadata": {"reference": "REV_01K1ABCDEFGH23456JKMNPQRST"},
        },
        "STALE",
    ),
    "a refund that names nothing": ("refund.created", {"id": "re_1", "object": "refund"}, "STALE"),
    "what is of the account": ("payout.paid", {"id": "po_1", "object": "payout"}, "STALE"),
    "metadata of another kind": ("charge.refunded", {"id": "ch_1", "metadata": [1]}, "STALE"),
}


@pytest.mark.parametrize(("type", "about", "outcome"), STRIPE_EVENTS.values(), ids=STRIPE_EVENTS)
def test_an_event_of_stripe_is_foreign_by_the_reference_that_it_names(
    api: Api, type: str, about: dict[str, Any], outcome: str
) -> None:
    before = api.dump()
    assert stripe_event(api, type, about) == outcome
    an_hour_passes(api)
    assert different(before, api.dump()) == {"webhook_event"}


def a_refund(**names: str) -> dict[str, Any]:
    return {"id": "1JU0", "status": "COMPLETED", "amount": paypal.dollars(193)} | names


PAYPAL_EVENTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "their approval": (
        "CHECKOUT.ORDER.APPROVED",
        paypal.order("APPROVED", "webshop-4711"),
        "FOREIGN",
    ),
    "their approval, undone": (
        "CHECKOUT.PAYMENT-APPROVAL.REVERSED",
        paypal.order("VOIDED", "webshop-4711", order_id="5O19"),
        "FOREIGN",
    ),
    "their capture, under review": (
        "PAYMENT.CAPTURE.PENDING",
        paypal.capture("PENDING", "webshop-4711"),
        "FOREIGN",
    ),
    "their refund": ("PAYMENT.CAPTURE.REFUNDED", a_refund(custom_id="webshop-4711"), "FOREIGN"),
    "a capture that names nothing": (
        "PAYMENT.CAPTURE.COMPLETED",
        {"id": "3C67", "status": "COMPLETED", "amount": paypal.dollars(193)},
        "FOREIGN",
    ),
    "an order that names nothing": ("CHECKOUT.ORDER.APPROVED", {"id": "5O19"}, "FOREIGN"),
    "our refund": (
        "PAYMENT.CAPTURE.REFUNDED",
        a_refund(custom_id="REV_01K1ABCDEFGH23456JKMNPQRST"),
        "STALE",
    ),
    "a refund that names nothing": ("PAYMENT.CAPTURE.REFUNDED", a_refund(), "STALE"),
    "what is of the account": ("BILLING.PLAN.CREATED", {"id": "P-1"}, "STALE"),
}


@pytest.mark.parametrize(("type", "about", "outcome"), PAYPAL_EVENTS.values(), ids=PAYPAL_EVENTS)
def test_an_event_of_paypal_is_foreign_by_the_reference_that_it_names(
    api: Api, type: str, about: dict[str, Any], outcome: str
) -> None:
    before = api.dump()
    assert paypal_event(api, type, about) == outcome
    an_hour_passes(api)
    assert different(before, api.dump()) == {"webhook_event"}


@pytest.mark.parametrize("length", [128, 129, 200, 500])
def test_a_reference_that_is_longer_than_ours_is_foreign(api: Api, length: int) -> None:
    reference = f"ORDER-{length}-".ljust(length, "x")
    assert (
        stripe_event(api, "payment_intent.succeeded", stripe.intent("paid", reference)) == "FOREIGN"
    )
    assert stripe_event(api, "charge.refunded", a_charge(reference=reference)) == "FOREIGN"
    assert outcomes(api, reference[:128]) == ["FOREIGN"]


def test_on_an_unshared_account_a_reference_that_is_too_long_is_quarantined(
    api: Api, unshared: None
) -> None:
    about = stripe.intent("paid", "ORDER-".ljust(129, "x"))
    caller, id = CALLERS["STRIPE"], f"evt_{datetime.now(UTC).timestamp()}"
    body = json.loads(stripe.event("payment_intent.succeeded", about, id))
    assert send(api, caller, caller.sign(body, datetime.now(UTC))).status_code == 400
    (row,) = api.rows("select * from webhook_event order by received_at desc limit 1")
    assert (row["outcome"], row["event_id"], row["reference"]) == ("BAD_SIGNATURE", None, None)


@pytest.mark.parametrize("name", [None, "ORDER-778"])
def test_on_an_unshared_account_an_event_about_no_payment_is_stale(
    api: Api, unshared: None, name: str | None
) -> None:
    tags = {"reference": name} if name else {}
    assert stripe_event(api, "charge.refunded", a_charge(**tags)) == "STALE"
    assert (
        stripe_event(api, "payment_intent.succeeded", stripe.intent("paid", metadata={})) == "STALE"
    )
    assert (
        paypal_event(
            api, "PAYMENT.CAPTURE.REFUNDED", a_refund(**({"custom_id": name} if name else {}))
        )
        == "STALE"
    )
