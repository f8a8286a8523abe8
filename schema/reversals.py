"""The GraphQL type of a void or refund."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import reversals
from domain.money import Currency
from schema.common import Amount
from schema.graphql.publish import publishes

strawberry.enum(reversals.ReversalKind)
strawberry.enum(
    reversals.ReversalStatus,
    description="UNKNOWN: the gateway gave no clear answer; we ask it. DONE is final. FAILED"
    " becomes DONE only if the gateway's settlement proves that the money was paid back.",
)


@publishes(
    reversals.Reversal,
    description="A void of cash or a refund; nothing else undoes a successful payment. For"
    " merchants `requestedBy` and `approvedBy` are `office`.",
)
class Reversal:
    id: strawberry.ID
    kind: reversals.ReversalKind
    status: reversals.ReversalStatus
    amount: Amount
    currency: Currency
    reason: str
    requested_by: str
    approved_by: str | None
    created_at: datetime
    completed_at: datetime | None

    @strawberry.field(description="Why it failed, in a sentence.")
    def failure_message(self, root: strawberry.Parent[reversals.Reversal]) -> str | None:
        return root.failure.message if root.failure else None
