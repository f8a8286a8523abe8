"""Reconciliation: a gateway's settlement of a day, compared with our ledger."""

from __future__ import annotations

from datetime import date, datetime

import strawberry

from domain import reconciliation, settlement
from domain.methods import GatewayName
from domain.money import Currency
from resolvers import reconciliation as resolve
from schema.common import Amount, Info
from schema.graphql.publish import publishes

strawberry.enum(
    reconciliation.ReconciliationStatus,
    description="NOT_IMPORTED: no settlement file covers the day. MATCHED: every line agrees."
    " DIFFERENCES: cases of the day are open. RESOLVED: people have decided every difference.",
)
strawberry.enum(
    settlement.SettlementResult,
    name="ReconciliationResult",
    description="OURS_ONLY: no file contains it yet; a later file may complete the line."
    " THEIRS_ONLY: only the file contains it. DUPLICATE: a file contains it again. FOREIGN: belongs"
    " to another program on the same account; it opens no case, and is listed only on request.",
)
strawberry.enum(settlement.LineKind, name="SettlementKind")


@publishes(reconciliation.ReconciliationCounts)
class ReconciliationCounts:
    matched: int
    amount_differs: int
    ours_only: int
    theirs_only: int
    duplicate: int


@publishes(
    reconciliation.ReconciliationLine,
    description="A payment or refund in the gateway's file (`theirs`), in our ledger (`ours`), or"
    " both. A side is null where it lacks the line or has it in another currency. A refund has its"
    " payment's reference. A matching line may have a case, until people have decided about the"
    " money.",
)
class ReconciliationLine:
    kind: settlement.LineKind
    reference: str
    gateway_id: str | None
    reported_amount: Amount | None = strawberry.field(name="theirs")
    own_amount: Amount | None = strawberry.field(name="ours")
    currency: Currency
    at: datetime | None
    result: settlement.SettlementResult
    payment_id: strawberry.ID | None
    reversal_id: strawberry.ID | None
    case_id: strawberry.ID | None


@publishes(
    reconciliation.ForeignLines,
    description="The lines of other programs that use the same account; `amount` is their sum. What"
    " we cannot read of them, such as another currency, is null, and so is a sum that JSON cannot"
    " hold exactly (above 9007199254740991).",
)
class ForeignLines:
    kind: settlement.LineKind | None
    currency: Currency | None
    count: int
    amount: Amount | None


Parent = strawberry.Parent[reconciliation.Reconciliation]


@publishes(
    reconciliation.Reconciliation,
    description="A gateway's settlement of a day (Vietnamese time), compared with our ledger.",
)
class Reconciliation:
    gateway: GatewayName
    date: date
    status: reconciliation.ReconciliationStatus
    counts: ReconciliationCounts

    @strawberry.field(
        graphql_type=list[ReconciliationLine],
        description="Up to `first` lines (at most 1000), differences first. FOREIGN lines only if"
        " `results` contains FOREIGN.",
    )
    async def lines(
        self,
        root: Parent,
        results: list[settlement.SettlementResult] | None = None,
        first: int | None = resolve.MAX_PAGE_SIZE,
    ) -> list[reconciliation.ReconciliationLine]:
        size = resolve.MAX_PAGE_SIZE if first is None else first
        return await resolve.lines(root, results=results or None, first=size)

    @strawberry.field(
        graphql_type=list[ForeignLines],
        description="By kind and currency; empty if no other program uses the account.",
    )
    async def foreign(self, root: Parent) -> list[reconciliation.ForeignLines]:
        return await resolve.foreign(root)


@strawberry.type
class ReconciliationQuery:
    @strawberry.field(graphql_type=Reconciliation)
    async def reconciliation(
        self, info: Info, gateway: GatewayName, date: date
    ) -> reconciliation.Reconciliation:
        return await resolve.day(info.context, gateway, date)
