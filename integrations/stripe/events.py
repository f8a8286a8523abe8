"""Stripe's events as notices: with evidence where they are about a page or a payment of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from domain.gateways import Notice
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.http.webhooks import event
from integrations.stripe.objects import Event, Intent, Refusal, Session

WEBHOOK = "stripe:webhook"


def notice(notification: Event) -> Notice:
    """Return an event as a notice. Raises BadCall."""
    about = _about(notification)
    if about is None:
        named = _reference_in(notification.data.object)
        return Notice(event_id=notification.id, reference=None, evidence=None, named=named)
    if about.reference is None:
        return Notice(event_id=notification.id, reference=None, evidence=None, named="")
    evidence = about.evidence(WEBHOOK, EvidenceSource.WEBHOOK)
    if notification.type == "checkout.session.async_payment_failed":
        evidence = replace(
            evidence,
            result=GatewayResult.DECLINED,
            failure=Refusal().failure,
            money=None,
            unreadable=None,
        )
    return Notice(event_id=notification.id, reference=about.reference, evidence=evidence)


def _about(notification: Event) -> Session | Intent | None:
    """Return the object that an event is about, where it is one that money comes by. Raises BadCall."""
    about = notification.data.object
    if notification.type.startswith("checkout.session."):
        return event(Session, about)
    return event(Intent, about) if notification.type.startswith("payment_intent.") else None


def _reference_in(about: dict[str, Any]) -> str | None:
    """Return the reference in an object's metadata: charges have their payment's, refunds their own."""
    metadata = about.get("metadata")
    if not isinstance(metadata, dict):
        return None
    named = cast("dict[str, object]", metadata).get("reference")
    return named if isinstance(named, str) else None
