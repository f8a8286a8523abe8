"""Stripe's events as notices: with evidence where they are about a page or a payment of ours."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, cast

from domain.evidence import Finding, Grade
from domain.gateways import Notice
from integrations.stripe_objects import Event, Intent, Refusal, Session
from integrations.wire import parse

WEBHOOK = "stripe:webhook"


def notice(event: Event) -> Notice:
    """Return an event as a notice. Raises Unreadable."""
    about = _about(event)
    if about is None:
        named = _reference_in(event.data.object)
        return Notice(event_id=event.id, reference=None, evidence=None, named=named)
    if about.reference is None:
        return Notice(event_id=event.id, reference=None, evidence=None, named="")
    evidence = about.evidence(WEBHOOK, Grade.E1)
    if event.type == "checkout.session.async_payment_failed":
        evidence = replace(evidence, finding=Finding.DECLINED, failure=Refusal().failure)
    return Notice(event_id=event.id, reference=about.reference, evidence=evidence)


def _about(event: Event) -> Session | Intent | None:
    """Return the object that an event is about, where it is one that money comes by."""
    about = json.dumps(event.data.object).encode()
    if event.type.startswith("checkout.session."):
        return parse(Session, about)
    return parse(Intent, about) if event.type.startswith("payment_intent.") else None


def _reference_in(about: dict[str, Any]) -> str | None:
    """Return the reference in an object's metadata: charges have their payment's, refunds their own."""
    metadata = about.get("metadata")
    if not isinstance(metadata, dict):
        return None
    named = cast("dict[str, object]", metadata).get("reference")
    return named if isinstance(named, str) else None
