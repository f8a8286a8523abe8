"""What happened to a payment, as the dashboards show it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import attempts, ledger, notifications, payment_history, payments, webhooks
from domain.methods import GatewayName
from domain.money import Currency
from domain.payment_evidence import EvidenceSource
from resolvers import payment_history as resolve
from schema.common import Amount, Info, Sequence
from schema.graphql.batching import batched
from schema.graphql.publish import shows
from schema.webhooks import WebhookEvent

strawberry.enum(attempts.AttemptStatus)
strawberry.enum(notifications.Channel)
strawberry.enum(notifications.NotificationStatus)

Parent = strawberry.Parent[payments.Payment]


strawberry.enum(
    EvidenceSource, description="Which source outside moved the payment; null where there was none."
)


@shows(attempts.Failure, description="Why a gateway said no: its own code, and a sentence.")
class Failure:
    code: str
    message: str


@shows(
    attempts.Attempt,
    description="One conversation with a gateway. `reference` is what it knows us by, and the id.",
)
class Attempt:
    gateway: GatewayName
    reference: str
    status: attempts.AttemptStatus
    sent_at: datetime | None
    answered_at: datetime | None
    failure: Failure | None

    @strawberry.field
    def id(self, root: strawberry.Parent[attempts.Attempt]) -> strawberry.ID:
        return strawberry.ID(root.reference)


@shows(ledger.Line, description="One side of a posting; the other side's amount is null.")
class PostingLine:
    account: str
    debit: Amount | None
    credit: Amount | None
    currency: Currency


@shows(ledger.Entry, description="The postings of one event, each as two lines.")
class Entry:
    id: strawberry.ID
    event: str
    created_at: datetime
    postings: list[PostingLine]


@shows(payment_history.Step, description="An audit row; `sequence` is its number.")
class TimelineStep:
    sequence: Sequence
    at: datetime
    actor: str
    action: str
    evidence: EvidenceSource | None
    from_status: str | None
    to_status: str | None
    request_id: str | None


@shows(notifications.Notification, description="A message to the customer; the number is masked.")
class Notification:
    id: strawberry.ID
    channel: notifications.Channel
    recipient: str
    status: notifications.NotificationStatus
    attempts: int
    sent_at: datetime | None


@strawberry.type
class History:
    """The part of a payment's face that is read only when it is asked for."""

    @strawberry.field(graphql_type=list[Attempt], description="Oldest first; none for cash.")
    async def attempts(self, info: Info, root: Parent) -> tuple[attempts.Attempt, ...]:
        return await batched(info.context, resolve.attempts).load(root.id)

    @strawberry.field(graphql_type=list[Entry], description="What the ledger says of it.")
    async def entries(self, info: Info, root: Parent) -> tuple[ledger.Entry, ...]:
        return await batched(info.context, resolve.entries).load(root.id)

    @strawberry.field(
        graphql_type=list[TimelineStep],
        description="What was done about it, in order; empty for collectors and cashiers.",
    )
    async def timeline(self, info: Info, root: Parent) -> tuple[payment_history.Step, ...]:
        return await batched(info.context, resolve.timeline).load(root.id)

    @strawberry.field(
        graphql_type=list[WebhookEvent],
        description="What gateways told us of it; empty for collectors and cashiers.",
    )
    async def webhook_events(self, info: Info, root: Parent) -> tuple[webhooks.WebhookEvent, ...]:
        return await batched(info.context, resolve.webhook_events).load(root.id)

    @strawberry.field(graphql_type=list[Notification], description="What the customer was told.")
    async def notifications(
        self, info: Info, root: Parent
    ) -> tuple[notifications.Notification, ...]:
        return await batched(info.context, resolve.notifications).load(root.id)
