"""What the office looks at: pages of payments, and every change as it happens."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import datetime
from typing import cast

import strawberry

from domain import payments, search
from domain.methods import PaymentMethod
from resolvers import transactions
from resolvers.transactions import Page
from schema.common import Amount, Info, moment
from schema.payments import Payment

strawberry.enum(search.PaymentOrder)


@strawberry.input(description="Every part that is given must hold; a range is [from, to).")
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
        return replace(
            search.PaymentFilter(**vars(self)),
            created_from=moment("filter.createdFrom", self.created_from),
            created_to=moment("filter.createdTo", self.created_to),
        )


@strawberry.type
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class PaymentEdge:
    cursor: str
    node: Payment


@strawberry.type(description="Totals are counted only when asked for.")
class PaymentConnection:
    page: strawberry.Private[Page]

    @strawberry.field
    def edges(self) -> list[PaymentEdge]:
        return [
            PaymentEdge(cursor=self.page.cursor(one), node=cast("Payment", one))
            for one in self.page.payments
        ]

    @strawberry.field
    def page_info(self) -> PageInfo:
        last = self.page.payments[-1] if self.page.payments else None
        return PageInfo(
            has_next_page=self.page.has_next,
            end_cursor=self.page.cursor(last) if last else None,
        )

    @strawberry.field
    async def total_count(self) -> int:
        return (await self.page.totals()).count

    @strawberry.field
    async def total_amount(self) -> Amount:
        return Amount((await self.page.totals()).amount)


@strawberry.type
class TransactionQuery:
    @strawberry.field
    async def payments(
        self,
        info: Info,
        filter: PaymentFilter | None = None,
        first: int | None = 50,
        after: str | None = None,
        order_by: search.PaymentOrder | None = search.PaymentOrder.CREATED_DESC,
    ) -> PaymentConnection:
        page = await transactions.page(
            info.context,
            (filter or PaymentFilter()).to_domain(),
            first=50 if first is None else first,
            after=after,
            order=order_by or search.PaymentOrder.CREATED_DESC,
        )
        return PaymentConnection(page=page)


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
        async for changed in transactions.changes(info.context, wanted):
            yield changed
