"""A collector's business day at its close."""

from __future__ import annotations

from datetime import date

import strawberry

from domain import day_close
from domain.methods import PaymentMethod
from resolvers import day_close as resolve
from schema.common import Amount, Info
from schema.graphql.publish import publishes


@publishes(day_close.Takings, description="Money taken by one method.")
class Takings:
    method: PaymentMethod
    count: int
    amount: Amount


@publishes(
    day_close.DayClose,
    description="`collected` is the sum of `byMethod`: successful payments of the day, without"
    " those that were voided later, which are `voided`. `handedIn` is the counted cash of the"
    " day's hand-ins. `cashInHand` is the collector's balance in the ledger at the end of the day"
    " (today: now); it includes earlier days, until a cashier has counted the cash.",
)
class DayClose:
    collected: Amount
    voided: Amount
    handed_in: Amount
    cash_in_hand: Amount
    by_method: list[Takings]


@strawberry.type
class DayCloseQuery:
    @strawberry.field(
        graphql_type=DayClose, description="A staff member's day, in Vietnamese time."
    )
    async def day_close(
        self, info: Info, staff_id: strawberry.ID, date: date
    ) -> day_close.DayClose:
        return await resolve.of_staff(info.context, staff_id, date)
