"""Stripe's objects, as it shows them: a page to pay at, and the payment that is tried there or by a token."""

from __future__ import annotations

from sandbox.charges import Charge
from sandbox.stripe.rules import refused_card
from sandbox.web import Json


def session(charge: Charge, *, whole: bool = False) -> Json:
    """`whole` has the payment in it, and not only its number."""
    status = charge.now
    number = charge.gateway_id if tried(charge) else None
    return {
        "id": f"cs_test_{charge.token}",
        "object": "checkout.session",
        "client_reference_id": charge.reference,
        "metadata": charge.details["session_metadata"],
        "status": {"pending": "open", "expired": "expired"}.get(status, "complete"),
        "payment_status": "paid" if status == "paid" else "unpaid",
        "amount_total": charge.money,
        "currency": charge.currency.lower(),
        "url": charge.payment_url if status == "pending" else None,
        "expires_at": int(charge.expires_at),
        "created": int(charge.created_at),
        "mode": "payment",
        "livemode": False,
        "payment_intent": intent(charge) if whole and number else number,
    }


def intent(charge: Charge) -> Json:
    status = charge.now
    reason = charge.details.get("reason") or "generic_decline"
    waits = status == "pending"
    return {
        "id": charge.gateway_id,
        "object": "payment_intent",
        "amount": charge.amount,
        "amount_received": charge.money if status == "paid" else 0,
        "currency": charge.currency.lower(),
        "status": {
            "pending": "requires_action",
            "paid": "succeeded",
            "declined": "requires_payment_method",
        }.get(status, "canceled"),
        "description": charge.details["about"],
        "metadata": charge.details["metadata"],
        "created": int(charge.created_at),
        "livemode": False,
        "last_payment_error": refused_card(reason) if status == "declined" else None,
        "next_action": {
            "type": "redirect_to_url",
            "redirect_to_url": {
                "url": charge.payment_url,
                "return_url": charge.details["return_url"],
            },
        }
        if waits
        else None,
    }


def tried(charge: Charge) -> bool:
    """A page has a payment only once somebody tried to pay there."""
    return charge.details.get("kind") == "intent" or charge.status in ("paid", "declined")
