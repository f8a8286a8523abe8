"""What PayPal's calls tell of: an order that was approved or lapsed, and what became of its money."""

from __future__ import annotations

import json
from typing import Any, cast

from domain.evidence import Evidence, Finding, Grade
from domain.gateways import Notice
from integrations.paypal_objects import Capture, Event, Order
from integrations.wire import parse

WEBHOOK = "paypal:webhook"


def notice(event: Event) -> Notice:
    """Return an event as a notice, with evidence where it is about money of ours. Raises Unreadable."""
    money = _money(event)
    if money is None:
        named = _reference_in(event.resource)
        return Notice(event_id=event.id, reference=None, evidence=None, named=named)
    reference, evidence = money
    if reference is None:
        return Notice(event_id=event.id, reference=None, evidence=None, named="")
    return Notice(event_id=event.id, reference=reference, evidence=evidence)


def _reference_in(about: dict[str, Any]) -> str | None:
    """Return the reference in a refund, or in the money that a dispute is about."""
    disputed: object = about.get("disputed_transactions")
    first: object = (
        cast("list[object]", disputed)[0] if isinstance(disputed, list) and disputed else None
    )
    in_dispute = cast("dict[str, object]", first).get("custom") if isinstance(first, dict) else None
    named = about.get("custom_id", in_dispute)
    return named if isinstance(named, str) else None


def _money(event: Event) -> tuple[str | None, Evidence] | None:
    """Return the reference that an event is about, and what it says of its money."""
    about = json.dumps(event.resource).encode()  # a number may have any size
    match event.event_type:
        case "CHECKOUT.ORDER.APPROVED":  # no money yet: it makes us ask, and so capture
            said = Evidence(grade=Grade.E1, source=WEBHOOK, finding=Finding.UNKNOWN)
            return parse(Order, about).reference, said
        case "CHECKOUT.PAYMENT-APPROVAL.REVERSED":
            whole = event.resource | {"id": event.resource.get("order_id", event.id)}
            order = parse(Order, json.dumps(whole).encode()).model_copy(update={"status": "VOIDED"})
            return order.reference, order.evidence(WEBHOOK, Grade.E1)
        case "PAYMENT.CAPTURE.PENDING":
            said = Evidence(grade=Grade.E1, source=WEBHOOK, finding=Finding.UNPAID)
            return parse(Capture, about).reference, said
        case "PAYMENT.CAPTURE.COMPLETED" | "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED":
            capture = parse(Capture, about)
            if not event.event_type.endswith("COMPLETED"):
                capture = capture.model_copy(update={"status": "DECLINED"})
            return capture.reference, capture.evidence(WEBHOOK, Grade.E1)
        case _:
            return None
