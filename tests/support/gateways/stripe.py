"""How Stripe answers and calls, as the tests write it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.gateways import Call
from domain.methods import GatewayName
from integrations.http.client import Upstream
from integrations.stripe.gateway import Stripe
from tests.support.gateways.counterpart import Act, says
from tests.support.gateways.dialects import ALL_OUTCOMES, NOW, REFERENCE, REFUND
from tests.support.gateways.signing import stripe_signature

API_KEY = "rk_live_stripe-key"
WEBHOOK_SECRET = "whsec_stripe-secret"
PAGE = "https://checkout.stripe.com/c/pay/cs_live_1#fid"


def stripe_call(body: bytes, *, at: datetime = NOW, secret: str = WEBHOOK_SECRET) -> Call:
    sent_at = str(int(at.timestamp()))
    signature = stripe_signature(secret, sent_at, body)
    headers = {"stripe-signature": f"t={sent_at},v1={signature},v0=00"}
    return Call(method="POST", query="", headers=headers, body=body, received_at=NOW)


def session(outcome: str = "pending", reference: str = REFERENCE, **other: Any) -> dict[str, Any]:
    status, payment_status = {
        "pending": ("open", "unpaid"),
        "paid": ("complete", "paid"),
        "declined": ("complete", "unpaid"),
        "expired": ("expired", "unpaid"),
    }[outcome]
    return {
        "id": "cs_live_1",
        "object": "checkout.session",
        "client_reference_id": reference,
        "status": status,
        "payment_status": payment_status,
        "amount_total": 200_000,
        "currency": "vnd",
        "url": PAGE if status == "open" else None,
        "payment_intent": None if outcome in ("pending", "expired") else intent(outcome, reference),
    } | other


def intent(outcome: str = "paid", reference: str = REFERENCE, **other: Any) -> dict[str, Any]:
    paid = outcome == "paid"
    refused = {"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds"}
    return {
        "id": "pi_77",
        "object": "payment_intent",
        "status": {"paid": "succeeded", "pending": "requires_action"}.get(
            outcome, "requires_payment_method"
        ),
        "amount": 200_000,
        "amount_received": 200_000 if paid else 0,
        "currency": "vnd",
        "metadata": {"reference": reference},
        "last_payment_error": refused if outcome == "declined" else None,
    } | other


def refund(status: str = "succeeded", amount: int = 50_000, **other: Any) -> dict[str, Any]:
    metadata = {"reference": REFUND}
    return {"id": "re_1", "status": status, "amount": amount, "metadata": metadata} | other


def listed(*objects: dict[str, Any], has_more: bool = False) -> Act:
    return says({"object": "list", "data": list(objects), "has_more": has_more})


def event(type: str, about: dict[str, Any], id: str = "evt_1") -> bytes:
    return json.dumps({"id": id, "type": type, "data": {"object": about}}).encode()


@dataclass
class StripeDialect:
    name = GatewayName.STRIPE
    gateway_id = "pi_77"
    reference = REFERENCE
    outcomes = ALL_OUTCOMES

    def gateway(self, http: Upstream) -> Stripe:
        return Stripe(http, api_key=API_KEY, webhook_secrets=[WEBHOOK_SECRET, "whsec_old"])

    def acceptance(self) -> Act:
        return says(session())

    def decline(self) -> Act:
        error = {"type": "card_error", "code": "card_declined", "decline_code": "do_not_honor"}
        return says({"error": error | {"message": "Your card was declined."}}, 402)

    def inquiry_answer(
        self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000
    ) -> Act:
        return listed(session("paid", "another"), session(outcome, reference, amount_total=amount))

    def unknown_reference(self) -> Act:
        return listed()

    def refund_answer(self, amount: int) -> Act:
        return says(refund(amount=amount))

    def refund_decline(self) -> Act:
        error = {"type": "invalid_request_error", "code": "charge_already_refunded"}
        return says({"error": error}, 400)

    def call(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call:
        if outcome == "pending":
            return stripe_call(event("payment_intent.requires_action", intent(outcome, reference)))
        kind = {
            "paid": "checkout.session.completed",
            "declined": "checkout.session.async_payment_failed",
            "expired": "checkout.session.expired",
        }[outcome]
        number = None if outcome == "expired" else self.gateway_id
        about = session(outcome, reference, amount_total=amount, payment_intent=number)
        return stripe_call(event(kind, about))

    def forge(self, call: Call) -> Call:
        return replace(call, body=call.body.replace(b"200000", b"200001"))

    def remove_signature(self, call: Call) -> Call:
        return replace(call, headers={})

    def repeat_parameter(self, call: Call) -> Call:
        return stripe_call(call.body.replace(b"{", b'{"id": "evt_2", ', 1))
