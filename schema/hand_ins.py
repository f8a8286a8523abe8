"""Handing in cash, and counting it."""

from __future__ import annotations

from datetime import datetime

import strawberry

from domain import hand_ins
from resolvers import hand_ins as resolve
from schema.common import Amount, Info, Refusal, answered, given
from schema.graphql.connections import FIRST, Connection
from schema.graphql.publish import shows
from schema.payments import Collector, Taker

strawberry.enum(hand_ins.HandInStatus)


@shows(
    hand_ins.HandIn,
    description="Cash brought to the office. `countedAmount` is the cashier's figure, before there is one"
    " the collector's, who said `declaredAmount`; `variance` is what was counted beyond what was expected.",
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
    def staff(self, root: strawberry.Parent[hand_ins.HandIn]) -> Taker:
        return Taker(staff_id=root.staff_id, name=root.staff_name)


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
    @strawberry.field(description="The hand-ins that the asker sees, newest first.")
    async def hand_ins(
        self,
        info: Info,
        status: hand_ins.HandInStatus | None = None,
        staff_id: strawberry.ID | None = None,
        first: int | None = FIRST,
        after: str | None = None,
    ) -> Connection[HandIn]:
        page = await resolve.page(
            info.context,
            status=status,
            staff_id=given(staff_id),
            first=FIRST if first is None else first,
            after=given(after),
        )
        return Connection(page=page)


@strawberry.type
class HandInMutation:
    @strawberry.mutation(
        description="Hand in all the cash that the asker holds. The same key and input is the same hand-in."
    )
    async def submit_hand_in(self, info: Info, input: HandInInput) -> HandInPayload:
        work = resolve.submit(info.context, input.to_domain())
        return await answered(HandInPayload, "hand_in", work)

    @strawberry.mutation(description="Take over cash that was handed in, as a cashier counted it.")
    async def confirm_hand_in(
        self, info: Info, id: strawberry.ID, counted_amount: Amount
    ) -> HandInPayload:
        work = resolve.confirm(info.context, id, counted_amount=counted_amount)
        return await answered(HandInPayload, "hand_in", work)
