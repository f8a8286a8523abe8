"""What PayPal's calls tell of: an order that was approved or lapsed, and what became of its money."""

from __future__ import annotations

from typing import Any, cast

from domain.gateways import Notice
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.http.webhooks import event
from integrations.paypal.objects import Capture, Event, Order

WEBHOOK = "paypal:webhook"


def notice(notification: Event) -> Notice:
    """Return an event as a notice, with evidence where it is about money of ours. Raises BadCall."""
    money = _money(notification)
    if money is None:
        named = _reference_in(notification.resource)
        return Notice(event_id=notification.id, reference=None, evidence=None, named=named)
    reference, evidence = money
    if reference is None:
        return Notice(event_id=notification.id, reference=None, evidence=None, named="")
    return Notice(event_id=notification.id, reference=reference, evidence=evidence)


def _reference_in(about: dict[str, Any]) -> str | None:
    """Return the reference in a refund, or in the money that a dispute is about."""
    disputed: object = about.get("disputed_transactions")
    first: object = (
        cast("list[object]", disputed)[0] if isinstance(disputed, list) and disputed else None
    )
    in_dispute = cast("dict[str, object]", first).get("custom") if isinstance(first, dict) else None
    named = about.get("custom_id", in_dispute)
    return named if isinstance(named, str) else None


def _money(notification: Event) -> tuple[str | None, Evidence] | None:
    """Return the reference that an event is about, and what it says of its money. Raises BadCall."""
    about = notification.resource
    match notification.event_type:
        case "CHECKOUT.ORDER.APPROVED":  # no money yet: it makes us ask, and so capture
            evidence = Evidence(
                source=EvidenceSource.WEBHOOK, origin=WEBHOOK, result=GatewayResult.UNKNOWN
            )
            return event(Order, about).reference, evidence
        case "CHECKOUT.PAYMENT-APPROVAL.REVERSED":
            whole = about | {"id": about.get("order_id", notification.id)}
            order = event(Order, whole).model_copy(update={"status": "VOIDED"})
            return order.reference, order.evidence(WEBHOOK, EvidenceSource.WEBHOOK)
        case "PAYMENT.CAPTURE.PENDING":
            evidence = Evidence(
                source=EvidenceSource.WEBHOOK, origin=WEBHOOK, result=GatewayResult.UNPAID
            )
            return event(Capture, about).reference, evidence
        case (
            "PAYMENT.CAPTURE.COMPLETED" | "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED"
        ) as type:
            capture = event(Capture, about)
            if not type.endswith("COMPLETED"):
                capture = capture.model_copy(update={"status": "DECLINED"})
            return capture.reference, capture.evidence(WEBHOOK, EvidenceSource.WEBHOOK)
        case _:
            return None
