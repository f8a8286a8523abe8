"""Cases: money that does not fit, and the decisions of two people."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import cases
from domain.methods import GatewayName
from domain.staff import Role
from resolvers import case_decisions
from resolvers import cases as resolve
from schema.common import Amount, Info, Refusal, as_payload, page_request
from schema.graphql.connections import Connection
from schema.graphql.publish import publishes

strawberry.enum(cases.CaseKind)
strawberry.enum(cases.CaseStatus)
strawberry.enum(
    cases.CaseDecision,
    description="APPLY: the money pays the bills as requested; of a reversal: approve it, or"
    " confirm that it was paid. CREDIT: the money becomes the customer's credit with us. REFUND:"
    " the payer gets the money back. CLOSE: no money moves; of a reversal: reject it, or confirm"
    " that it was not paid.",
)


@publishes(cases.Approval, description="One person's decision about a case.")
class Approval:
    actor: strawberry.ID
    decision: cases.CaseDecision
    amount: Amount | None
    reason: str
    at: datetime


@publishes(
    cases.Case,
    description="Money that does not fit a payment. Two people resolve it by the same decision."
    " `suggestion` follows from the ledger; null where it gives no answer. `amount` is in VND. It"
    " is null where the gateway's sum cannot be read: then `unreadable` is its text, and people"
    " state the amount.",
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
        description="The amount received, where the gateway's sum is `unreadable`; both people"
        " must state the same. CREDIT and REFUND need it; APPLY without it confirms the requested"
        " amount. In the minor unit of the gateway's currency (PayPal: cents).",
    )

    def to_domain(self) -> case_decisions.ResolveCase:
        return case_decisions.ResolveCase(**vars(self))


@strawberry.type
class CasePayload:
    case: Case | None = None
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class CaseQuery:
    @strawberry.field(description="The cases that the caller may see, newest first.")
    async def cases(
        self,
        info: Info,
        status: cases.CaseStatus | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[Case]:
        request = page_request(first, after, last, before)
        page = await resolve.page(info.context, status, request)
        return Connection(page=page)


@strawberry.type
class CaseMutation:
    @strawberry.mutation(
        description="Decide about a case. The decision takes effect once a second person makes the"
        " same one."
    )
    async def resolve_case(self, info: Info, input: ResolveCaseInput) -> CasePayload:
        work = case_decisions.resolve(info.context, input.to_domain())
        return await as_payload(CasePayload, "case", work)
