"""How much a member of staff may still take in cash or from their wallet."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime

import strawberry

from domain import limits
from domain.methods import PaymentMethod
from resolvers import limits as resolve
from schema.common import Amount, Info
from schema.graphql.publish import publishes

strawberry.enum(limits.LimitSource)


@publishes(
    limits.Limit, description="A limit on what a member of staff may take, and its current use."
)
class Limit:
    kind: limits.LimitKind
    limit: Amount
    used: Amount
    reserved: Amount
    remaining: Amount
    resets_at: datetime | None
    source: limits.LimitSource


@publishes(
    limits.LimitPreview,
    description="Whether a payment of an amount would be within the caller's limits now.",
)
class LimitPreview:
    allowed: bool
    limits: list[Limit]


@strawberry.type
class LimitQuery:
    @strawberry.field(
        graphql_type=list[Limit],
        description="The limits of a member of staff that the caller may see.",
    )
    async def limits(self, info: Info, staff_id: strawberry.ID) -> tuple[limits.Limit, ...]:
        return await resolve.of_staff(info.context, staff_id)

    @strawberry.field(graphql_type=LimitPreview)
    async def limit_preview(
        self, info: Info, method: PaymentMethod, amount: Amount
    ) -> limits.LimitPreview:
        return await resolve.preview(info.context, method, amount)


@strawberry.type
class LimitSubscription:
    @strawberry.subscription(
        graphql_type=Limit,
        description="Each of the caller's limits at once, and again whenever it changes.",
    )
    async def limit_changed(self, info: Info) -> AsyncGenerator[limits.Limit]:
        async for limit in resolve.changes(info.context):
            yield limit
