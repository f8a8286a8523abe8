"""A customer, their bills and fees, and what the debt system holds against them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

import strawberry
from strawberry.types.nodes import SelectedField, Selection

from domain import bills, customers
from domain.methods import PaymentMethod
from resolvers import customers as resolve
from schema.common import Amount, Info
from schema.graphql.publish import shows

strawberry.enum(customers.ContractStatus)
strawberry.enum(bills.BillStatus)

LATEST = 10  # past payments, where nobody chose how many
# What the fields of a customer read beside the customer.
READS = {
    "bills": ("bills", "held"),
    "fees": ("fees", "held"),
    "totalOutstanding": ("bills", "fees", "held"),
    "paymentHistory": ("history",),
    "debt": ("debt",),
}


@shows(customers.PhoneNumber)
class PhoneNumber:
    number: str
    type: str
    has_hifpt: bool
    is_messaging: bool


@shows(bills.Lock, name="BillLock", description="The live payment that holds a bill.")
class BillLock:
    payment_id: strawberry.ID
    method: PaymentMethod
    held_by: str
    until: datetime | None


@shows(bills.Bill)
class Bill:
    bill_number: strawberry.ID
    period_from: date
    period_to: date
    amount: Amount
    content: str
    issue_date: date
    status: bills.BillStatus
    lock: BillLock | None


@shows(bills.Fee)
class Fee:
    fee_id: strawberry.ID
    content: str
    amount: Amount
    status: bills.BillStatus
    lock: BillLock | None


@shows(customers.Debt)
class Debt:
    total_debt: Amount
    overdue_months: int
    status: str


@shows(bills.PastPayment, description="A payment as Revenue Management recorded it.")
class PastPayment:
    transaction_id: strawberry.ID
    paid_at: datetime
    amount: Amount
    method: str


Parent = strawberry.Parent[customers.Customer]


@shows(
    customers.Customer,
    description="Each part comes from its own system: one that does not answer is null, with an"
    " UPSTREAM_UNAVAILABLE error at its path, and the rest is served.",
)
class Customer:
    customer_id: strawberry.ID
    name: str
    contract_number: strawberry.ID
    contract_status: customers.ContractStatus
    service_address: str
    phone_numbers: list[PhoneNumber]

    @strawberry.field(graphql_type=list[Bill] | None)
    async def bills(self, info: Info, root: Parent) -> tuple[bills.Bill, ...]:
        return await resolve.all_bills(info.context, root.contract_number)

    @strawberry.field(graphql_type=list[Fee] | None)
    async def fees(self, info: Info, root: Parent) -> tuple[bills.Fee, ...]:
        return await resolve.fees(info.context, root.contract_number)

    @strawberry.field(graphql_type=Debt | None)
    async def debt(self, info: Info, root: Parent) -> customers.Debt:
        return await resolve.debt(info.context, root.contract_number)

    @strawberry.field(graphql_type=Amount | None, description="Unpaid bills and fees, in VND.")
    async def total_outstanding(self, info: Info, root: Parent) -> int:
        return await resolve.total_outstanding(info.context, root.contract_number)

    @strawberry.field(graphql_type=list[PastPayment] | None, description="Newest first.")
    async def payment_history(
        self, info: Info, root: Parent, first: int | None = LATEST
    ) -> tuple[bills.PastPayment, ...]:
        past = await resolve.history(info.context, root.contract_number)
        return past[: max(0, min(LATEST if first is None else first, 100))]


@strawberry.type
class CustomerQuery:
    @strawberry.field(graphql_type=Customer)
    async def customer(self, info: Info, contract_number: strawberry.ID) -> customers.Customer:
        also = {read for name in _names(info.selected_fields) for read in READS.get(name, ())}
        return await resolve.customer(info.context, contract_number, also)

    @strawberry.field(graphql_type=list[Bill])
    async def bills(self, info: Info, contract_number: strawberry.ID) -> tuple[bills.Bill, ...]:
        return await resolve.all_bills(info.context, contract_number)

    @strawberry.field(graphql_type=Bill)
    async def bill(
        self, info: Info, contract_number: strawberry.ID, bill_number: strawberry.ID
    ) -> bills.Bill:
        return await resolve.bill(info.context, contract_number, bill_number)


def _names(selections: Sequence[Selection]) -> Iterator[str]:
    """Yield the names of what is selected below, through fragments."""
    for selection in selections:
        for below in selection.selections:
            if isinstance(below, SelectedField):
                yield below.name
            else:
                yield from _names([below])
