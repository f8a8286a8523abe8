"""Gateways' calls: over HTTP raw bytes in, the gateway's own dialect out; and the desk where people look at them."""

from __future__ import annotations

from datetime import datetime

import strawberry
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from domain import webhooks as kept
from domain.gateways import Call, WebhookOutcome
from domain.methods import GatewayName
from domain.staff import Operation, may
from resolvers import webhooks
from resolvers.context import Context
from schema.common import Info, Refusal, answered, given
from schema.graphql.connections import FIRST, Connection
from schema.graphql.publish import shows

LARGEST = 64 * 1024

strawberry.enum(WebhookOutcome)


async def webhook(request: Request) -> Response:
    base: Context = request.app.state.context
    context = base.for_actor(None, request_id=f"webhook-{base.ids.record('REQ')}")
    path: str = request.path_params["path"].removesuffix("/")
    gateway = context.gateways.by_path(path)
    if gateway is None:
        return PlainTextResponse("There is no such gateway.", 404)
    if request.method not in gateway.methods:
        allowed = ", ".join(sorted(gateway.methods))
        return PlainTextResponse(f"It calls by {allowed}.", 405, {"allow": allowed})
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                return PlainTextResponse(f"The body exceeds {LARGEST} bytes.", 413)
    except ClientDisconnect:
        return Response(status_code=400)
    call = Call(
        method=request.method,
        query=request.url.query,
        headers=dict(request.headers),
        body=bytes(body),
        received_at=await context.clock(),
        path=path,
    )
    reply = await webhooks.receive(context, gateway, call)
    return Response(reply.body, reply.status, media_type=reply.content_type)


# ── the desk ─────────────────────────────────────────────────────────────────────────────────────


@strawberry.type
class RawHeader:
    name: str
    value: str


@strawberry.type(
    description="A call as it came: secrets among the headers are masked, and card numbers."
)
class RawCall:
    method: str
    path: str
    query: str
    headers: list[RawHeader]
    body: str


@shows(kept.WebhookEvent, description="A gateway's call, and what became of it.")
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
        description="A card number was masked in it: it cannot be replayed, its gateway has to send it again."
    )

    @strawberry.field(description="For auditors; null for everyone else.")
    def raw(self, info: Info, root: strawberry.Parent[kept.WebhookEvent]) -> RawCall | None:
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
        description="Gateways' calls that this became of, newest first: BAD_SIGNATURE is the quarantine,"
        " DEAD what was given up."
    )
    async def webhook_events(
        self,
        info: Info,
        outcome: WebhookOutcome,
        gateway: GatewayName | None = None,
        first: int | None = FIRST,
        after: str | None = None,
    ) -> Connection[WebhookEvent]:
        most = FIRST if first is None else first
        page = await webhooks.page(info.context, outcome, gateway, first=most, after=given(after))
        return Connection(page=page)


@strawberry.type
class WebhookMutation:
    @strawberry.mutation(
        description="Handle a kept call again: a dead one, or one whose secret has been mended since."
    )
    async def replay_webhook(self, info: Info, id: strawberry.ID) -> WebhookEventPayload:
        work = webhooks.replay(info.context, id)
        return await answered(WebhookEventPayload, "event", work)
