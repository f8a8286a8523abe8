"""PayPal's events as notices, with evidence if they are about an order's money."""

from __future__ import annotations

from typing import Any, cast

from domain.gateways import BadCall, Notice
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.http.webhooks import notice_without_evidence, parse_event
from integrations.paypal.objects import Capture, Event, Order

WEBHOOK = "paypal:webhook"


def interpret_event(event: Event) -> Notice:
    """Return an event as a notice; one that cannot be read has a problem."""
    try:
        payment = _payment(event)
    except BadCall as error:
        return notice_without_evidence(event.id, _named(event.resource), problem=error.reason)
    if payment is None:
        named = _reference_of(event.resource)
        return Notice(event_id=event.id, reference=None, evidence=None, named=named)
    reference, evidence = payment
    if reference is None:
        return notice_without_evidence(event.id, _named(event.resource))
    return Notice(event_id=event.id, reference=reference, evidence=evidence)


def _named(resource: dict[str, Any]) -> list[object]:
    """Return what stands where we write the reference of an order; a list is unreadable."""
    units: object = resource.get("purchase_units")
    if not isinstance(units, list | None):
        return [[units]]
    named: list[object] = []
    for place in [resource, *cast("list[object]", units or [])]:
        if not isinstance(place, dict):
            return [[place]]
        fields = cast("dict[str, object]", place)
        named += [fields.get("custom_id"), fields.get("invoice_id")]
    return named


def _reference_of(resource: dict[str, Any]) -> str | None:
    """Return the reference in a refund, or in a disputed transaction."""
    disputed: object = resource.get("disputed_transactions")
    transactions = cast("list[object]", disputed) if isinstance(disputed, list) else []
    first = transactions[0] if transactions else None
    in_dispute = cast("dict[str, object]", first).get("custom") if isinstance(first, dict) else None
    reference = resource.get("custom_id", in_dispute)
    return reference if isinstance(reference, str) else None


def _payment(event: Event) -> tuple[str | None, Evidence] | None:
    """Return an event's reference and evidence; None if it is about no order. Raises BadCall."""
    resource = event.resource
    match event.event_type:
        case "CHECKOUT.ORDER.APPROVED":  # no money yet; UNKNOWN causes an inquiry, which captures
            return parse_event(Order, resource).reference, _evidence(GatewayResult.UNKNOWN)
        case "CHECKOUT.PAYMENT-APPROVAL.REVERSED":
            fields = resource | {"id": resource.get("order_id", event.id)}
            order = parse_event(Order, fields).model_copy(update={"status": "VOIDED"})
            return order.reference, order.evidence(WEBHOOK, EvidenceSource.WEBHOOK)
        case "PAYMENT.CAPTURE.PENDING":
            return parse_event(Capture, resource).reference, _evidence(GatewayResult.UNPAID)
        case (
            "PAYMENT.CAPTURE.COMPLETED" | "PAYMENT.CAPTURE.DENIED" | "PAYMENT.CAPTURE.DECLINED"
        ) as type:
            capture = parse_event(Capture, resource)
            if not type.endswith("COMPLETED"):
                capture = capture.model_copy(update={"status": "DECLINED"})
            return capture.reference, capture.evidence(WEBHOOK, EvidenceSource.WEBHOOK)
        case _:
            return None


def _evidence(result: GatewayResult) -> Evidence:
    return Evidence(source=EvidenceSource.WEBHOOK, origin=WEBHOOK, result=result)
