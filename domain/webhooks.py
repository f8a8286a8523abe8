"""A gateway's call as it is stored: raw, with its outcome."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from domain.gateways import Call, WebhookOutcome
from domain.methods import GatewayName


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookEvent:
    """
    One event of a gateway's call; `event_id` is the sender's id of it, None if it did not verify.

    `masked`: a card number in an unverified call was masked; its signature can verify only if it
    does not cover that part, as a header.
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
