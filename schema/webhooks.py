"""Gateways' webhook events: read, and replayed, by the office."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import webhooks
from domain.gateways import WebhookOutcome
from domain.methods import GatewayName
from domain.staff import Operation, may
from resolvers import webhooks as resolve
from schema.common import Info, Refusal, as_payload, page_request
from schema.graphql.connections import Connection
from schema.graphql.publish import publishes

strawberry.enum(
    WebhookOutcome,
    description="RECEIVED: stored, and not handled yet. HANDLED: it changed the payment."
    " DUPLICATE: it repeats a known success. STALE: it reports nothing new. UNMATCHED: no payment"
    " has its reference. FOREIGN: it belongs to another program on the same account."
    " BAD_SIGNATURE: it does not verify; nothing was applied. DEAD: handling it failed too often.",
)


@strawberry.type
class RawHeader:
    name: str
    value: str


@strawberry.type(
    description="The HTTP request as received; secret headers and card numbers are masked."
)
class RawCall:
    method: str
    path: str
    query: str
    headers: list[RawHeader]
    body: str


@publishes(
    webhooks.WebhookEvent,
    description="An event that a gateway reported by a webhook, and its outcome. `deliveries`"
    " counts how often the gateway sent it, `tries` how often it was handled.",
)
class WebhookEvent:
    id: strawberry.ID
    gateway: GatewayName
    event_id: str | None
    reference: str | None
    outcome: WebhookOutcome
    received_at: datetime
    deliveries: int
    tries: int
    masked: bool = strawberry.field(
        description="Whether a card number was masked. Where the gateway signs that part, the call"
        " cannot be replayed: the gateway must send it again."
    )

    @strawberry.field(description="Auditors only; null for everyone else.")
    def raw(self, info: Info, root: strawberry.Parent[webhooks.WebhookEvent]) -> RawCall | None:
        if not may(info.context.actor, Operation.READ_RAW_WEBHOOKS):
            return None
        call = root.call
        return RawCall(
            method=call.method,
            path=call.path,
            query=call.query,
            headers=[RawHeader(name=name, value=value) for name, value in call.headers.items()],
            body=call.body.decode(errors="replace"),
        )


@strawberry.type
class WebhookEventPayload:
    event: WebhookEvent | None = None
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class WebhookQuery:
    @strawberry.field(
        description="Webhook events of one outcome, newest first. BAD_SIGNATURE and DEAD await the"
        " office."
    )
    async def webhook_events(
        self,
        info: Info,
        outcome: WebhookOutcome,
        gateway: GatewayName | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[WebhookEvent]:
        request = page_request(first, after, last, before)
        page = await resolve.page(info.context, outcome, gateway, request)
        return Connection(page=page)


@strawberry.type
class WebhookMutation:
    @strawberry.mutation(
        description="Handle a stored event again: one that is DEAD, or a BAD_SIGNATURE after its"
        " secret was corrected."
    )
    async def replay_webhook(self, info: Info, id: strawberry.ID) -> WebhookEventPayload:
        work = resolve.replay(info.context, id)
        return await as_payload(WebhookEventPayload, "event", work)
