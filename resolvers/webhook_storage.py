"""How a gateway's call is stored: raw, without secrets, and without card numbers in quarantine."""

from __future__ import annotations

import re
from dataclasses import replace

from db import webhooks
from domain.cards import masked
from domain.gateways import Call, Gateway, Notice, WebhookOutcome
from domain.webhooks import WebhookEvent
from resolvers.context import Context

# Headers by their names; a signature is no secret, and a replay verifies it again.
SECRET_HEADER = re.compile(r"authorization|cookie|key|token|secret|password", re.IGNORECASE)


async def store(
    context: Context, gateway: Gateway, call: Call, notice: Notice | None
) -> WebhookEvent:
    """Store one event of a verified call, or with *notice* None a call for the quarantine."""
    headers = {name: masked(value) for name, value in call.headers.items()}
    clean = replace(call, headers=headers)
    if notice is None:  # a verified call keeps its text, so that it verifies again
        body = masked(call.body.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        clean = replace(clean, query=masked(call.query), body=body)
    without_secrets = {
        name.lower(): "…" if SECRET_HEADER.search(name) else value
        for name, value in headers.items()
    }
    return await webhooks.store(
        WebhookEvent(
            id=context.ids.record("EVT"),
            gateway=gateway.name,
            event_id=notice.identity if notice else None,
            reference=notice.reference if notice else None,
            outcome=WebhookOutcome.RECEIVED if notice else WebhookOutcome.BAD_SIGNATURE,
            received_at=call.received_at,
            deliveries=1,
            tries=0,
            call=replace(clean, headers=without_secrets),
            masked=notice is None and clean != call,
        )
    )
