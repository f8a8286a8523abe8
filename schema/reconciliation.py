"""A gateway's day beside our books, as the API shows it."""

from __future__ import annotations

from datetime import date, datetime

import strawberry

from domain import reconciliation, settlement
from domain.methods import GatewayName
from domain.money import Currency
from resolvers import reconciliation as resolve
from schema.common import Amount, Info
from schema.graphql.publish import shows

strawberry.enum(
    reconciliation.ReconciliationStatus,
    description="NOT_IMPORTED: no file covers the day. MATCHED: both say the same of all of it."
    " DIFFERENCES: cases of the day are open. RESOLVED: there were differences, and people decided each.",
)
strawberry.enum(
    settlement.SettlementResult,
    name="ReconciliationResult",
    description="OURS_ONLY: no file so far names it; one that does completes the line."
    " THEIRS_ONLY: we have nothing of the kind. DUPLICATE: they name it once more. FOREIGN: another"
    " program's on the same account; it is no case, and is listed only where it is asked for.",
)
strawberry.enum(settlement.LineKind, name="SettlementKind")


@shows(reconciliation.ReconciliationCounts)
class ReconciliationCounts:
    matched: int
    amount_differs: int
    ours_only: int
    theirs_only: int
    duplicate: int


@shows(
    reconciliation.ReconciliationLine,
    description="`theirs` and `ours` are null on the side that knows nothing of it, or has it in another"
    " currency. A refund has its payment's reference. Also a line that matches has a case while"
    " people still have to say what becomes of the money.",
)
class ReconciliationLine:
    kind: settlement.LineKind
    reference: str
    gateway_id: str | None
    theirs: Amount | None
    ours: Amount | None
    currency: Currency
    at: datetime | None
    result: settlement.SettlementResult
    payment_id: strawberry.ID | None
    reversal_id: strawberry.ID | None
    case_id: strawberry.ID | None


@shows(
    reconciliation.ForeignLines,
    description="Lines of other programs that use the same account. `amount` is their sum in the"
    " currency's minor unit.",
)
class ForeignLines:
    kind: settlement.LineKind
    currency: Currency
    count: int
    amount: Amount


Parent = strawberry.Parent[reconciliation.Reconciliation]


@shows(
    reconciliation.Reconciliation,
    description="What a gateway settled on a Vietnamese day, beside our books.",
)
class Reconciliation:
    gateway: GatewayName
    date: date
    status: reconciliation.ReconciliationStatus
    counts: ReconciliationCounts

    @strawberry.field(
        graphql_type=list[ReconciliationLine],
        description="Up to `first` (1000 at most), those that do not agree first; FOREIGN only if in `results`.",
    )
    async def lines(
        self,
        root: Parent,
        results: list[settlement.SettlementResult] | None = None,
        first: int | None = resolve.MOST,
    ) -> list[reconciliation.ReconciliationLine]:
        most = resolve.MOST if first is None else first
        return await resolve.lines(root, results=results or None, first=most)

    @strawberry.field(
        graphql_type=list[ForeignLines],
        description="By kind and currency; empty where no other program uses the account.",
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
