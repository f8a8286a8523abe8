"""Searching payments, and following every change of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import strawberry

from domain import payment_search as search
from domain import payments
from domain.methods import PaymentMethod
from resolvers import payment_search
from schema.common import Amount, Info, non_blank, page_request
from schema.graphql.connections import Connection
from schema.graphql.date_time import in_utc
from schema.graphql.publish import publishes
from schema.payments import Payment

strawberry.enum(search.PaymentOrder)


@strawberry.input(
    description="Payments that satisfy every condition set here. A range includes its start and"
    " excludes its end. A blank text and an empty list set no condition."
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
        conditions: dict[str, Any] = {
            name: non_blank(value) if isinstance(value, str) else value
            for name, value in vars(self).items()
            if value != []
        }
        return replace(
            search.PaymentFilter(**conditions),
            created_from=in_utc("filter.createdFrom", self.created_from),
            created_to=in_utc("filter.createdTo", self.created_to),
        )


@publishes(
    search.Totals,
    description="How many payments match, and the sum of their amounts in VND. Up to 10,000 matches"
    " it is exact; beyond, `count` is 10000, `amount` is null and `exact` is false.",
)
class PaymentTotals:
    count: int
    amount: Amount | None
    exact: bool


@strawberry.type(
    description="A page of payments. The totals are counted only if the query selects them."
)
class PaymentConnection(Connection[Payment]):
    counted: strawberry.Private[Callable[[], Awaitable[search.Totals]]]

    @strawberry.field(graphql_type=PaymentTotals)
    async def totals(self) -> search.Totals:
        return await self.counted()

    @strawberry.field(description="The `count` of `totals`.")
    async def total_count(self) -> int:
        return (await self.counted()).count

    @strawberry.field(description="The `amount` of `totals`.")
    async def total_amount(self) -> Amount | None:
        amount = (await self.counted()).amount
        return None if amount is None else Amount(amount)


@strawberry.type
class PaymentSearchQuery:
    @strawberry.field
    async def payments(
        self,
        info: Info,
        filter: PaymentFilter | None = None,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        order_by: search.PaymentOrder | None = search.PaymentOrder.CREATED_DESC,
    ) -> PaymentConnection:
        page = await payment_search.page(
            info.context,
            (filter or PaymentFilter()).to_domain(),
            page_request(first, after, last, before),
            order=order_by or search.PaymentOrder.CREATED_DESC,
        )
        return PaymentConnection(page=page, counted=page.totals)


@strawberry.type
class PaymentSearchSubscription:
    @strawberry.subscription(
        graphql_type=Payment,
        description="Every change, from now on, of the payments that the caller may see.",
    )
    async def payment_changed(
        self, info: Info, filter: PaymentFilter | None = None
    ) -> AsyncGenerator[payments.Payment]:
        conditions = (filter or PaymentFilter()).to_domain()
        async for payment in payment_search.changes(info.context, conditions):
            yield payment
