"""Hand-ins: cash that collectors bring to the office, and its count by a cashier."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import hand_ins
from resolvers import hand_ins as resolve
from schema.common import Amount, Info, Refusal, as_payload, non_blank, page_request
from schema.graphql.connections import Connection
from schema.graphql.publish import publishes
from schema.payments import Collector, StaffReference

strawberry.enum(hand_ins.HandInStatus)


@publishes(
    hand_ins.HandIn,
    description="Cash brought to the office. `declaredAmount` is the collector's count;"
    " `countedAmount` is the cashier's, and the collector's until then. `variance` is"
    " `countedAmount` less `expectedAmount`.",
)
class HandIn:
    id: strawberry.ID
    status: hand_ins.HandInStatus
    expected_amount: Amount
    counted_amount: Amount
    declared_amount: Amount
    variance: Amount
    note: str | None
    submitted_at: datetime
    confirmed_at: datetime | None
    confirmed_by: strawberry.ID | None

    @strawberry.field(graphql_type=Collector)
    def staff(self, root: strawberry.Parent[hand_ins.HandIn]) -> StaffReference:
        return StaffReference(staff_id=root.staff_id, name=root.staff_name)


@strawberry.input
class HandInInput:
    idempotency_key: str
    counted_amount: Amount
    note: str | None = None

    def to_domain(self) -> hand_ins.SubmitHandIn:
        return hand_ins.SubmitHandIn(**vars(self))


@strawberry.type
class HandInPayload:
    hand_in: HandIn | None = None
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class HandInQuery:
    @strawberry.field(description="The hand-ins that the caller may see, newest first.")
    async def hand_ins(
        self,
        info: Info,
        status: hand_ins.HandInStatus | None = None,
        staff_id: strawberry.ID | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
    ) -> Connection[HandIn]:
        page = await resolve.page(
            info.context,
            page_request(first, after, last, before),
            status=status,
            staff_id=non_blank(staff_id),
        )
        return Connection(page=page)


@strawberry.type
class HandInMutation:
    @strawberry.mutation(
        description="Hand in all cash that the caller holds. The same key and input return the same"
        " hand-in."
    )
    async def submit_hand_in(self, info: Info, input: HandInInput) -> HandInPayload:
        work = resolve.submit(info.context, input.to_domain())
        return await as_payload(HandInPayload, "hand_in", work)

    @strawberry.mutation(description="Confirm a hand-in with the cashier's count.")
    async def confirm_hand_in(
        self, info: Info, id: strawberry.ID, counted_amount: Amount
    ) -> HandInPayload:
        work = resolve.confirm(info.context, id, counted_amount=counted_amount)
        return await as_payload(HandInPayload, "hand_in", work)
