"""Stripe's objects in its own format: checkout sessions and payment intents."""

from __future__ import annotations

from sandbox.charges import Charge
from sandbox.stripe.rules import card_error
from sandbox.web import Json


def session(charge: Charge, *, whole: bool = False) -> Json:
    """Return a checkout session; `whole` expands its payment intent."""
    status = charge.current_status
    number = charge.gateway_id if has_intent(charge) else None
    return {
        "id": f"cs_test_{charge.token}",
        "object": "checkout.session",
        "client_reference_id": charge.reference,
        "metadata": charge.details["session_metadata"],
        "status": {"pending": "open", "expired": "expired"}.get(status, "complete"),
        "payment_status": "paid" if status == "paid" else "unpaid",
        "amount_total": charge.current_amount,
        "currency": charge.currency.lower(),
        "url": charge.payment_url if status == "pending" else None,
        "expires_at": int(charge.expires_at),
        "created": int(charge.created_at),
        "mode": "payment",
        "livemode": False,
        "payment_intent": intent(charge) if whole and number else number,
    }


def intent(charge: Charge) -> Json:
    status = charge.current_status
    reason = charge.details.get("reason") or "generic_decline"
    waits = status == "pending"
    return {
        "id": charge.gateway_id,
        "object": "payment_intent",
        "amount": charge.amount,
        "amount_received": charge.current_amount if status == "paid" else 0,
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
        "last_payment_error": card_error(reason) if status == "declined" else None,
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


def has_intent(charge: Charge) -> bool:
    """Return whether the charge has an intent; a session gets one with its first payment."""
    return charge.details.get("kind") == "intent" or charge.status in ("paid", "declined")
