"""Stripe's events as notices, with evidence if they are about a page or a payment of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from domain.gateways import BadCall, Notice
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.http.webhooks import notice_without_evidence, parse_event
from integrations.stripe.objects import CardError, Event, Intent, Session

WEBHOOK = "stripe:webhook"


def interpret_event(event: Event) -> Notice:
    """Return an event as a notice; one that cannot be read has a problem."""
    try:
        payment = _payment(event)
    except BadCall as error:
        return notice_without_evidence(event.id, _named(event.data.object), problem=error.reason)
    if payment is None:
        named = _reference_of(event.data.object)
        return Notice(event_id=event.id, reference=None, evidence=None, named=named)
    if payment.reference is None:
        return notice_without_evidence(event.id, _named(event.data.object))
    evidence = payment.evidence(WEBHOOK, EvidenceSource.WEBHOOK)
    if event.type == "checkout.session.async_payment_failed":
        evidence = replace(
            evidence,
            result=GatewayResult.DECLINED,
            failure=CardError().failure,
            money=None,
            unreadable=None,
        )
    return Notice(event_id=event.id, reference=payment.reference, evidence=evidence)


def _payment(event: Event) -> Session | Intent | None:
    """Return the page or charge of an event; None if it is about anything else. Raises BadCall."""
    fields = event.data.object
    if event.type.startswith("checkout.session."):
        return parse_event(Session, fields)
    return parse_event(Intent, fields) if event.type.startswith("payment_intent.") else None


def _named(fields: dict[str, Any]) -> list[object]:
    """Return what stands where we write the reference of a page or charge; a list is unreadable."""
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict | None):
        return [[metadata]]
    reference = cast("dict[str, object]", metadata or {}).get("reference")
    return [fields.get("client_reference_id"), reference]


def _reference_of(fields: dict[str, Any]) -> str | None:
    """Return the reference in the metadata: a charge has its payment's, a refund its own."""
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict):
        return None
    reference = cast("dict[str, object]", metadata).get("reference")
    return reference if isinstance(reference, str) else None
