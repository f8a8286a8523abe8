"""What PayPal's calls tell of: an order that was approved or lapsed, and what became of its money."""

from __future__ import annotations

from domain.evidence import Evidence, Finding, Grade
from integrations.paypal_objects import Capture, Event, Order
from integrations.webhooks import event

WEBHOOK = "paypal:webhook"


def told(notification: Event) -> tuple[str | None, Evidence] | None:
    """Return the reference that an event is about, and what it says of its money. Raises BadCall."""
    about = notification.resource
    match notification.event_type:
        case "CHECKOUT.ORDER.APPROVED":  # no money yet: it makes us ask, and so capture
            evidence = Evidence(grade=Grade.E1, source=WEBHOOK, finding=Finding.UNKNOWN)
            return event(Order, about).reference, evidence
        case "CHECKOUT.PAYMENT-APPROVAL.REVERSED":
            whole = about | {"id": about.get("order_id", notification.id)}
            order = event(Order, whole).model_copy(update={"status": "VOIDED"})
            return order.reference, order.evidence(WEBHOOK, Grade.E1)
        case "PAYMENT.CAPTURE.PENDING":
            evidence = Evidence(grade=Grade.E1, source=WEBHOOK, finding=Finding.UNPAID)
            return event(Capture, about).reference, evidence
        case (
            "PAYMENT.CAPTURE.COMPLETED" | "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED"
        ) as type:
            capture = event(Capture, about)
            if not type.endswith("COMPLETED"):
                capture = capture.model_copy(update={"status": "DECLINED"})
            return capture.reference, capture.evidence(WEBHOOK, Grade.E1)
        case _:
            return None
