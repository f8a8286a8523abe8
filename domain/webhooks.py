"""A gateway's call as we keep it: raw, with what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.gateways import Call, WebhookOutcome
from domain.methods import GatewayName


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """
    `event_id` is the sender's identity of the event, None where it could not be verified.

    `masked`: a card number was masked in a call of the quarantine, so its signature never verifies again.
    """

    id: str
    gateway: GatewayName
    event_id: str | None
    reference: str | None
    outcome: WebhookOutcome
    received_at: datetime
    deliveries: int
    tries: int
    call: Call
    masked: bool
