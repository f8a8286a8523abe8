"""Reversals, as a payment shows them: what was given back, is being, or is to be."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import reversals
from domain.money import Currency
from schema.common import Amount
from schema.graphql.publish import shows

strawberry.enum(reversals.ReversalKind)
strawberry.enum(
    reversals.ReversalStatus,
    description="UNKNOWN: the gateway did not say; it is asked. DONE is never left; FAILED only where the"
    " gateway's settlement proves that it gave the money back after all.",
)


@shows(
    reversals.Reversal,
    description="A void of cash or a refund: a success is undone by no other way. A merchant reads `office` for"
    " who decided it.",
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

    @strawberry.field(description="Why it FAILED, in a sentence.")
    def failure_message(self, root: strawberry.Parent[reversals.Reversal]) -> str | None:
        return root.failure.message if root.failure else None
