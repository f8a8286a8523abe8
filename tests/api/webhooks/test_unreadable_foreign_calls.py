"""Verified calls about another program that we cannot read, on a shared account."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.gateways import Call
from mobinet.verify import verify
from tests.support.gateways import paypal, stripe
from tests.support.gateways.callers import new_notice, send
from tests.support.gateways.shared_accounts import (
    CALLERS,
    an_hour_passes,
    api_settings,
    counted,
    different,
    introduced,
    unshared,
)
from tests.support.gateways.table import case
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]
__all__ = ["api_settings", "introduced", "unshared"]  # fixtures of this module alone

COLUMNS = {"MOMO": "MoMo", "STRIPE": "Stripe", "PAYPAL": "PayPal"}
REFUSED = {400, 401}
OURS = "MB01K1ABCDEFGH24NEAR"


def momo(reference: str, **but: Any) -> Call:
    caller = CALLERS["MOMO"]
    return caller.sign(caller.fields(new_notice(reference, 17_470)) | but, datetime.now(UTC))


def stripe_page(reference: object, **but: Any) -> Call:
    about = stripe.session("paid", "ORDER-778") | {"client_reference_id": reference} | but
    return _signed("STRIPE", stripe.event("checkout.session.completed", about, _id("evt")))


def stripe_charge(metadata: object, **but: Any) -> Call:
    about = stripe.intent("paid", "ORDER-778") | {"metadata": metadata} | but
    return _signed("STRIPE", stripe.event("payment_intent.succeeded", about, _id("evt")))


def paypal_capture(reference: object, **but: Any) -> Call:
    about = paypal.capture("COMPLETED", "webshop-1") | {"custom_id": reference} | but
    return _signed("PAYPAL", paypal.event("PAYMENT.CAPTURE.COMPLETED", about, _id("WH")))


def paypal_order(units: object, **but: Any) -> Call:
    about = paypal.order("APPROVED", "webshop-1") | {"purchase_units": units} | but
    return _signed("PAYPAL", paypal.event("CHECKOUT.ORDER.APPROVED", about, _id("WH")))


def _signed(gateway: str, event: str | bytes) -> Call:
    return CALLERS[gateway].sign(json.loads(event), datetime.now(UTC))


def _id(prefix: str) -> str:
    return f"{prefix}-{datetime.now(UTC).timestamp()}"


THEIRS = {
    "a separator in MoMo's description": ("MOMO", lambda: momo("4711-1", orderInfo="Tea & cake")),
    "a separator in MoMo's own data": ("MOMO", lambda: momo("4711-2", extraData="a=1&b=2")),
    "a MoMo code that is a text": ("MOMO", lambda: momo("4711-3", resultCode="zero")),
    "a very long order of MoMo": ("MOMO", lambda: momo("4711-" + "4" * 1100)),
    "a Stripe page without an id": ("STRIPE", lambda: stripe_page("ORDER-1", id=None)),
    "a Stripe page with another address": ("STRIPE", lambda: stripe_page("ORDER-2", url="app://")),
    "a very long Stripe reference": ("STRIPE", lambda: stripe_page("ORDER-" + "7" * 300)),
    "a very long PayPal reference": ("PAYPAL", lambda: paypal_capture("webshop-" + "7" * 300)),
    "a Stripe page of nobody": ("STRIPE", lambda: stripe_page(None, id=5)),
    "a very long Stripe number": (
        "STRIPE",
        lambda: stripe_page("ORDER-3", payment_intent="pi_" + "3" * 300),
    ),
    "Stripe metadata of numbers": (
        "STRIPE",
        lambda: stripe_charge({"reference": "ORDER-4", "basket": 4}),
    ),
    "a Stripe charge without metadata": ("STRIPE", lambda: stripe_charge(None, status=7)),
    "a PayPal capture without an id": ("PAYPAL", lambda: paypal_capture("webshop-1", id="")),
    "a PayPal amount that is a number": ("PAYPAL", lambda: paypal_capture("webshop-2", amount=193)),
    "a PayPal capture of nobody": ("PAYPAL", lambda: paypal_capture(None, amount=[])),
    "a PayPal order with odd links": (
        "PAYPAL",
        lambda: paypal_order([{"custom_id": "webshop-3"}], links="none"),
    ),
    "a PayPal order of two, one unreadable": (
        "PAYPAL",
        lambda: paypal_order([{"custom_id": "webshop-4"}, {"payments": 5}]),
    ),
}

# Their sums cannot be read, which alone refuses no call: without sharing it is a case.
ODD_SUMS = {
    "a Stripe sum with cents in another currency": (
        "STRIPE",
        lambda: stripe_page("ORDER-5", amount_total="19.99", currency="eur"),
    ),
    "a Stripe currency that is a number": ("STRIPE", lambda: stripe_page("ORDER-6", currency=978)),
    "a PayPal amount in euros": (
        "PAYPAL",
        lambda: paypal_capture("webshop-6", amount={"currency_code": "EUR", "value": "1,93"}),
    ),
}

PERHAPS_OURS = {
    "MoMo: our reference behind a separator": (
        "MOMO",
        lambda: momo("4711-1", orderInfo=f"Tea&orderId={OURS}&orderInfo=cake"),
    ),
    "MoMo: our reference with a separator": ("MOMO", lambda: momo(OURS, orderInfo="Tea & cake")),
    "MoMo: our reference, odd code": ("MOMO", lambda: momo(OURS, resultCode="zero")),
    "MoMo: another partner": (
        "MOMO",
        lambda: momo("4711-9", orderInfo="Tea & cake", partnerCode="OTHER"),
    ),
    "Stripe: our page": ("STRIPE", lambda: stripe_page(OURS, id=None)),
    "Stripe: our page, known by its metadata": (
        "STRIPE",
        lambda: stripe_page(None, id=None, metadata={"reference": OURS}),
    ),
    "Stripe: a page with metadata that is a list": (
        "STRIPE",
        lambda: stripe_page("ORDER-8", id=None, metadata=[{"reference": OURS}]),
    ),
    "Stripe: a name that is no text": ("STRIPE", lambda: stripe_page(["ORDER-1"])),
    "Stripe: our charge": ("STRIPE", lambda: stripe_charge({"reference": OURS, "basket": 4})),
    "Stripe: metadata that is a list": ("STRIPE", lambda: stripe_charge([{"reference": OURS}])),
    "Stripe: a name that is a number": ("STRIPE", lambda: stripe_charge({"reference": 4})),
    "PayPal: our capture": ("PAYPAL", lambda: paypal_capture(OURS, id="")),
    "PayPal: our capture, known by its invoice": (
        "PAYPAL",
        lambda: paypal_capture("webshop-8", id="", invoice_id=OURS),
    ),
    "PayPal: our order, known by its invoice": (
        "PAYPAL",
        lambda: paypal_order([{"invoice_id": OURS, "payments": 5}]),
    ),
    "PayPal: a name that is no text": ("PAYPAL", lambda: paypal_capture(["webshop-1"])),
    "PayPal: our order is the second": (
        "PAYPAL",
        lambda: paypal_order([{"custom_id": "webshop-5"}, {"custom_id": OURS, "payments": 5}]),
    ),
    "PayPal: units that are no list": ("PAYPAL", lambda: paypal_order({"custom_id": OURS})),
}


@pytest.mark.parametrize(
    ("gateway", "call"),
    [
        pytest.param(gateway, call, marks=case("foreign reference", COLUMNS[gateway]), id=what)
        for what, (gateway, call) in (THEIRS | ODD_SUMS).items()
    ],
)
def test_an_unreadable_call_of_another_program_is_taken_and_counted(
    api: Api, gateway: str, call: Any
) -> None:
    before, foreign = api.dump(), counted(api, gateway, "FOREIGN")
    assert send(api, CALLERS[gateway], call()).status_code in {200, 204}
    assert counted(api, gateway, "FOREIGN") == foreign + 1
    an_hour_passes(api)
    assert different(before, api.dump()) == {"webhook_event"}
    (row,) = api.rows("select * from webhook_event order by received_at desc limit 1")
    assert (row["gateway"], row["outcome"]) == (gateway, "FOREIGN")


@pytest.mark.parametrize(("gateway", "call"), PERHAPS_OURS.values(), ids=PERHAPS_OURS)
def test_an_unreadable_call_that_may_be_about_us_is_refused(
    api: Api, gateway: str, call: Any
) -> None:
    before, foreign = api.dump(), counted(api, gateway, "FOREIGN")
    assert send(api, CALLERS[gateway], call()).status_code in REFUSED
    assert counted(api, gateway, "FOREIGN") == foreign
    (row,) = api.rows("select * from webhook_event order by received_at desc limit 1")
    assert (row["gateway"], row["outcome"]) == (gateway, "BAD_SIGNATURE")
    assert different(before, api.dump()) == {"webhook_event"}


@pytest.mark.parametrize(("gateway", "call"), THEIRS.values(), ids=THEIRS)
def test_an_unreadable_call_is_refused_where_the_account_is_ours_alone(
    api: Api, unshared: None, gateway: str, call: Any
) -> None:
    assert send(api, CALLERS[gateway], call()).status_code in REFUSED


@pytest.mark.parametrize(("gateway", "call"), THEIRS.values(), ids=THEIRS)
def test_an_unreadable_call_that_nobody_signed_is_refused(
    api: Api, gateway: str, call: Any
) -> None:
    true = call()
    changed = true.body.replace(b"ORDER-", b"ORDEr-").replace(b"webshop", b"webshoq")
    changed = changed.replace(b"4711-", b"4712-") if changed == true.body else changed
    changed = changed.replace(b'"id"', b'"Id"') if changed == true.body else changed
    forged = Call(
        method=true.method, query=true.query, headers=true.headers, body=changed,
        received_at=true.received_at,
    )  # fmt: skip
    foreign = counted(api, gateway, "FOREIGN")
    assert send(api, CALLERS[gateway], forged).status_code in REFUSED
    assert counted(api, gateway, "FOREIGN") == foreign


@pytest.mark.parametrize(
    ("gateway", "call"),
    [
        ("STRIPE", lambda: stripe_page(None, metadata={"reference": OURS})),
        ("PAYPAL", lambda: paypal_capture(None, invoice_id=OURS)),
        ("PAYPAL", lambda: paypal_order([{"invoice_id": OURS}])),
    ],
    ids=["a page", "a capture", "an order"],
)
def test_a_readable_call_with_our_reference_in_its_second_place_is_not_foreign(
    api: Api, gateway: str, call: Any
) -> None:
    foreign = counted(api, gateway, "FOREIGN")
    send(api, CALLERS[gateway], call())
    assert counted(api, gateway, "FOREIGN") == foreign
    (row,) = api.rows("select * from webhook_event order by received_at desc limit 1")
    assert (row["gateway"], row["outcome"]) == (gateway, "STALE")


def test_long_orders_of_momo_that_differ_at_their_end_are_two_events(api: Api) -> None:
    foreign = counted(api, "MOMO", "FOREIGN")
    for end in ("1", "2"):
        call = momo("4711-" + "5" * 300 + end)
        assert send(api, CALLERS["MOMO"], call).status_code == 204
    assert counted(api, "MOMO", "FOREIGN") == foreign + 2


def test_the_reference_of_an_attempt_is_ours_in_an_unreadable_call_too(api: Api) -> None:
    payment = api.new_payment(method="CARD")
    api.rows(
        "insert into attempt (reference, payment, gateway, status, amount, currency, created_at,"
        " expires_at, inquiries) select 'OLD-STRIPE-9', payment, gateway, status, amount, currency,"
        " created_at + interval '1 second', expires_at, 0 from attempt where payment = $1",
        payment["id"],
    )
    assert send(api, CALLERS["STRIPE"], stripe_page("OLD-STRIPE-9", id=None)).status_code in REFUSED


def test_after_unreadable_calls_every_invariant_holds(api: Api) -> None:
    findings: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=findings.append)
    )
    assert holds, "\n".join(findings)
