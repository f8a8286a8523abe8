"""A payment's history: attempts, ledger entries, timeline, webhook events and notifications."""

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
from schema.graphql.publish import publishes
from schema.webhooks import WebhookEvent

strawberry.enum(attempts.AttemptStatus)
strawberry.enum(notifications.Channel)
strawberry.enum(notifications.NotificationStatus)

strawberry.enum(
    EvidenceSource,
    description="The outside source that changed the payment; null where the change was our own.",
)

Parent = strawberry.Parent[payments.Payment]


@publishes(attempts.Failure, description="Why a gateway declined: its own code, and a sentence.")
class Failure:
    code: str
    message: str


@publishes(
    attempts.Attempt,
    description="One try at a gateway. `reference` is our reference there, and also the `id`.",
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


@publishes(ledger.Line, description="One side of a posting: either `debit` or `credit` is null.")
class PostingLine:
    account: str
    debit: Amount | None
    credit: Amount | None
    currency: Currency


@publishes(
    ledger.Entry,
    description="The ledger postings of one event, each as a debit line and a credit line.",
)
class Entry:
    id: strawberry.ID
    event: str
    created_at: datetime
    postings: list[PostingLine]


@publishes(payment_history.Step, description="A row of the audit log; `sequence` is its number.")
class TimelineStep:
    sequence: Sequence
    at: datetime
    actor: str
    action: str
    evidence: EvidenceSource | None
    from_status: str | None
    to_status: str | None
    request_id: str | None


@publishes(
    notifications.Notification, description="A message to the customer; `recipient` is masked."
)
class Notification:
    id: strawberry.ID
    channel: notifications.Channel
    recipient: str
    status: notifications.NotificationStatus
    attempts: int
    sent_at: datetime | None


@strawberry.type
class PaymentHistory:
    """The fields of a payment that are read only when a query selects them."""

    @strawberry.field(graphql_type=list[Attempt], description="Oldest first; empty for cash.")
    async def attempts(self, info: Info, root: Parent) -> tuple[attempts.Attempt, ...]:
        return await batched(info.context, resolve.attempts).load(root.id)

    @strawberry.field(graphql_type=list[Entry], description="Its ledger entries, oldest first.")
    async def entries(self, info: Info, root: Parent) -> tuple[ledger.Entry, ...]:
        return await batched(info.context, resolve.entries).load(root.id)

    @strawberry.field(
        graphql_type=list[TimelineStep],
        description="Everything done to the payment, in order; empty for collectors and cashiers.",
    )
    async def timeline(self, info: Info, root: Parent) -> tuple[payment_history.Step, ...]:
        return await batched(info.context, resolve.timeline).load(root.id)

    @strawberry.field(
        graphql_type=list[WebhookEvent],
        description="What gateways reported about it; empty for collectors and cashiers.",
    )
    async def webhook_events(self, info: Info, root: Parent) -> tuple[webhooks.WebhookEvent, ...]:
        return await batched(info.context, resolve.webhook_events).load(root.id)

    @strawberry.field(
        graphql_type=list[Notification], description="The messages to the customer about it."
    )
    async def notifications(
        self, info: Info, root: Parent
    ) -> tuple[notifications.Notification, ...]:
        return await batched(info.context, resolve.notifications).load(root.id)
