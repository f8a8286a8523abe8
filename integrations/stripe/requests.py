"""The forms of Stripe's requests: a payment page, and a charge of a token."""

from __future__ import annotations

from datetime import timedelta

from domain.attempts import Attempt
from domain.gateways import Purchase

# Stripe keeps a page open for at least half an hour; the minute is for clocks that differ.
_MIN_PAGE_LIFETIME = timedelta(minutes=31)


def page(attempt: Attempt, purchase: Purchase) -> dict[str, str]:
    """Return the request for a page, which charges nothing by itself."""
    sent_at = attempt.sent_at or attempt.created_at
    expires_at = max(attempt.expires_at, sent_at + _MIN_PAGE_LIFETIME)
    item = "line_items[0]"
    return {
        "mode": "payment",
        "client_reference_id": attempt.reference,
        "metadata[reference]": attempt.reference,
        "payment_intent_data[metadata][reference]": attempt.reference,
        "payment_intent_data[metadata][page]": "yes",
        "payment_intent_data[description]": purchase.description,
        f"{item}[quantity]": "1",
        f"{item}[price_data][currency]": attempt.money.currency.lower(),
        f"{item}[price_data][unit_amount]": str(attempt.money.amount),
        f"{item}[price_data][product_data][name]": purchase.description,
        "payment_method_types[0]": "card",
        "success_url": purchase.return_url,
        "cancel_url": purchase.return_url,
        "expires_at": str(int(expires_at.timestamp())),
        "locale": "vi",
    }


def charge(attempt: Attempt, purchase: Purchase) -> dict[str, str]:
    """Return the request that charges the purchase's card token at once."""
    token = purchase.card_token
    assert token is not None
    method = {"payment_method": token}
    if token.startswith("tok_"):
        method = {"payment_method_data[type]": "card", "payment_method_data[card][token]": token}
    return {
        "amount": str(attempt.money.amount),
        "currency": attempt.money.currency.lower(),
        "confirm": "true",
        "payment_method_types[0]": "card",
        "description": purchase.description,
        "metadata[reference]": attempt.reference,
        "return_url": purchase.return_url,
    } | method
