"""Money that does not fit: what waits for people, and their decisions."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import cases
from domain.methods import GatewayName
from domain.staff import Role
from resolvers import case_decisions
from resolvers import cases as resolve
from schema.common import Amount, Info, Refusal, answered, given
from schema.graphql.connections import FIRST, Connection
from schema.graphql.publish import shows

strawberry.enum(cases.CaseKind)
strawberry.enum(cases.CaseStatus)
strawberry.enum(
    cases.CaseDecision,
    description="APPLY: it is what was asked for, and pays the bill; of a reversal: it is approved, or was paid"
    " out. CREDIT: the customer keeps it with us. REFUND: the customer gets it back. CLOSE: there is"
    " nothing to move; of a reversal: it is rejected, or was not paid out.",
)


@shows(cases.Approval, description="One person's word on a case.")
class Approval:
    actor: strawberry.ID
    decision: cases.CaseDecision
    amount: Amount | None
    reason: str
    at: datetime


@shows(
    cases.Case,
    description="Money that does not fit. Two people resolve it by the same decision; `suggestion` is what the"
    " books speak for, null where people must judge alone. `amount` is in VND; null with `unreadable`, which is"
    " the gateway's sum as it wrote it: then people name what came.",
)
class Case:
    id: strawberry.ID
    kind: cases.CaseKind
    status: cases.CaseStatus
    amount: Amount | None
    unreadable: str | None
    payment_id: strawberry.ID | None
    reversal_id: strawberry.ID | None
    hand_in_id: strawberry.ID | None
    gateway: GatewayName | None
    about: str | None
    owner: Role
    opened_at: datetime
    age_seconds: int
    suggestion: cases.CaseDecision | None
    decision: cases.CaseDecision | None
    approvals: list[Approval]
    resolved_at: datetime | None


@strawberry.input
class ResolveCaseInput:
    case_id: strawberry.ID
    decision: cases.CaseDecision
    reason: str
    amount: Amount | None = strawberry.field(
        default=None,
        description="What came, where the gateway's sum is `unreadable`: both people name the same. CREDIT and"
        " REFUND need it; APPLY without it says that just what was asked for came. In the minor unit of the"
        " currency that the gateway was asked in (PayPal: cents).",
    )

    def to_domain(self) -> case_decisions.ResolveCase:
        return case_decisions.ResolveCase(**vars(self))


@strawberry.type
class CasePayload:
    case: Case | None = None
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class CaseQuery:
    @strawberry.field(description="The cases that the asker sees, newest first.")
    async def cases(
        self,
        info: Info,
        status: cases.CaseStatus | None = None,
        first: int | None = FIRST,
        after: str | None = None,
    ) -> Connection[Case]:
        page = await resolve.page(
            info.context, status, first=FIRST if first is None else first, after=given(after)
        )
        return Connection(page=page)


@strawberry.type
class CaseMutation:
    @strawberry.mutation(
        description="Decide about a case. The second person who decides the same carries it out."
    )
    async def resolve_case(self, info: Info, input: ResolveCaseInput) -> CasePayload:
        return await answered(
            CasePayload, "case", case_decisions.resolve(info.context, input.to_domain())
        )
