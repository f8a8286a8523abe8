"""The close of a collector's day."""

from __future__ import annotations

from datetime import date

import strawberry

from domain import day_close
from domain.methods import PaymentMethod
from resolvers import day_close as resolve
from schema.common import Amount, Info
from schema.graphql.publish import shows


@shows(day_close.Takings, description="What came in by one method.")
class Takings:
    method: PaymentMethod
    count: int
    amount: Amount


@shows(
    day_close.DayClose,
    description="`collected` is the sum of `byMethod`: payments made on that day that succeeded and were"
    " not voided since; those that were are `voided`. `handedIn` is what was counted of that day's"
    " hand-ins. `cashInHand` is what the ledger has in the collector's name at the day's end (today:"
    " now), from days before too, until a cashier has counted it.",
)
class DayClose:
    collected: Amount
    voided: Amount
    handed_in: Amount
    cash_in_hand: Amount
    by_method: list[Takings]


@strawberry.type
class DayCloseQuery:
    @strawberry.field(graphql_type=DayClose, description="A Vietnamese day of a member of staff.")
    async def day_close(
        self, info: Info, staff_id: strawberry.ID, date: date
    ) -> day_close.DayClose:
        return await resolve.of_staff(info.context, staff_id, date)
