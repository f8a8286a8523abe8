"""Stripe's events as notices, with evidence if they are about a page or a payment of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from domain.gateways import BadCall, Notice
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.http.webhooks import parse_event, unreadable_notice
from integrations.stripe.objects import CardError, Event, Intent, Session

WEBHOOK = "stripe:webhook"


def interpret_event(event: Event) -> Notice:
    """Return an event as a notice. Raises BadCall."""
    try:
        payment = _payment(event)
    except BadCall as error:
        return unreadable_notice(event.id, _unread_reference(event, error), error)
    if payment is None:
        named = _reference_of(event.data.object)
        return Notice(event_id=event.id, reference=None, evidence=None, named=named)
    if payment.reference is None:
        return Notice(event_id=event.id, reference=None, evidence=None, named="")
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


def _unread_reference(event: Event, error: BadCall) -> object:
    """
    Return what stands in the places of our reference, joined where it stands in two.

    Raises *error* if a place is no object, or one of two references is no text.
    """
    metadata = event.data.object.get("metadata")
    if not isinstance(metadata, dict | None):
        raise error
    named = cast("dict[str, object]", metadata or {}).get("reference")
    if not event.type.startswith("checkout.session."):
        return named
    of_page = event.data.object.get("client_reference_id")
    if not (isinstance(named, str | None) and isinstance(of_page, str | None)):
        raise error
    return " ".join(text for text in (of_page, named) if text)


def _reference_of(fields: dict[str, Any]) -> str | None:
    """Return the reference in the metadata: a charge has its payment's, a refund its own."""
    metadata = fields.get("metadata")
    if not isinstance(metadata, dict):
        return None
    reference = cast("dict[str, object]", metadata).get("reference")
    return reference if isinstance(reference, str) else None
