"""What the office looks at: pages of payments, and every change as it happens."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime

import strawberry

from domain import payment_search as search
from domain import payments
from domain.methods import PaymentMethod
from resolvers import payment_search
from schema.common import Amount, Info, given
from schema.graphql.connections import FIRST, Connection
from schema.moments import moment
from schema.payments import Payment

strawberry.enum(search.PaymentOrder)


@strawberry.input(
    description="Every part that is given must hold; a range is [from, to). An empty text or list is not given."
)
class PaymentFilter:
    status: list[payments.PaymentStatus] | None = None
    method: list[PaymentMethod] | None = None
    custody: list[payments.Custody] | None = None
    staff_id: strawberry.ID | None = None
    contract_number: strawberry.ID | None = None
    order_id: strawberry.ID | None = None
    gateway_reference: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    min_amount: Amount | None = None
    max_amount: Amount | None = None
    needs_verification: bool | None = None
    search: str | None = None

    def to_domain(self) -> search.PaymentFilter:
        parts = {name: part for name, part in vars(self).items() if part not in ("", [])}
        return replace(
            search.PaymentFilter(**parts),
            created_from=moment("filter.createdFrom", self.created_from),
            created_to=moment("filter.createdTo", self.created_to),
        )


@strawberry.type(description="Totals are counted only when asked for.")
class PaymentConnection(Connection[Payment]):
    totals: strawberry.Private[Callable[[], Awaitable[search.Totals]]]

    @strawberry.field
    async def total_count(self) -> int:
        return (await self.totals()).count

    @strawberry.field
    async def total_amount(self) -> Amount:
        return Amount((await self.totals()).amount)


@strawberry.type
class TransactionQuery:
    @strawberry.field
    async def payments(
        self,
        info: Info,
        filter: PaymentFilter | None = None,
        first: int | None = FIRST,
        after: str | None = None,
        order_by: search.PaymentOrder | None = search.PaymentOrder.CREATED_DESC,
    ) -> PaymentConnection:
        page = await payment_search.page(
            info.context,
            (filter or PaymentFilter()).to_domain(),
            first=FIRST if first is None else first,
            after=given(after),
            order=order_by or search.PaymentOrder.CREATED_DESC,
        )
        return PaymentConnection(page=page, totals=page.totals)


@strawberry.type
class TransactionSubscription:
    @strawberry.subscription(
        graphql_type=Payment,
        description="Every change, from now on, of every payment that you see.",
    )
    async def payment_changed(
        self, info: Info, filter: PaymentFilter | None = None
    ) -> AsyncGenerator[payments.Payment]:
        wanted = (filter or PaymentFilter()).to_domain()
        async for changed in payment_search.changes(info.context, wanted):
            yield changed
