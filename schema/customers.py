"""A customer with their bills, fees, payment history and debt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

import strawberry
from strawberry.types.nodes import SelectedField, Selection

from domain import bills, customers
from domain.methods import PaymentMethod
from resolvers import customers as resolve
from schema.common import Amount, Info
from schema.graphql.publish import publishes

strawberry.enum(customers.ContractStatus)
strawberry.enum(bills.BillStatus)

DEFAULT_HISTORY_SIZE = 10
# The reads that each field of a customer needs, so that they start together with the customer's.
READS_BY_FIELD = {
    "bills": (customers.PartName.BILLS, resolve.HELD),
    "fees": (customers.PartName.FEES, resolve.HELD),
    "totalOutstanding": (customers.PartName.BILLS, customers.PartName.FEES, resolve.HELD),
    "paymentHistory": (customers.PartName.HISTORY,),
    "debt": (customers.PartName.DEBT,),
}


@publishes(customers.PhoneNumber)
class PhoneNumber:
    number: str
    type: str
    has_hifpt: bool
    is_messaging: bool


@publishes(
    bills.Lock, name="BillLock", description="The active payment that locks a bill or a fee."
)
class BillLock:
    payment_id: strawberry.ID
    method: PaymentMethod
    held_by: str
    until: datetime | None


@publishes(bills.Bill)
class Bill:
    bill_number: strawberry.ID
    period_from: date
    period_to: date
    amount: Amount
    content: str
    issue_date: date
    status: bills.BillStatus
    lock: BillLock | None


@publishes(bills.Fee)
class Fee:
    fee_id: strawberry.ID
    content: str
    amount: Amount
    status: bills.BillStatus
    lock: BillLock | None


@publishes(customers.Debt)
class Debt:
    total_debt: Amount
    overdue_months: int
    status: str


strawberry.enum(customers.PartName, name="CustomerPartName")


@publishes(
    customers.Part,
    name="CustomerPart",
    description="How old a part of this answer is. Parts are shown for up to five minutes, and for"
    " up to an hour, `stale`, while their system does not answer. A payment reads them anew.",
)
class CustomerPart:
    name: customers.PartName
    as_of: datetime
    stale: bool


@publishes(bills.PastPayment, description="A payment as Revenue Management recorded it.")
class PastPayment:
    transaction_id: strawberry.ID
    paid_at: datetime
    amount: Amount
    method: str


Parent = strawberry.Parent[customers.Customer]


@publishes(
    customers.Customer,
    description="Each part comes from its own system. If one does not answer, its field is null"
    " with an UPSTREAM_UNAVAILABLE error at its path; the other fields are served.",
)
class Customer:
    customer_id: strawberry.ID
    name: str
    contract_number: strawberry.ID
    contract_status: customers.ContractStatus
    service_address: str
    phone_numbers: list[PhoneNumber]

    @strawberry.field(
        graphql_type=list[CustomerPart],
        description="The parts that this query reads and whose systems have answered.",
    )
    async def parts(self, info: Info, root: Parent) -> list[customers.Part]:
        return await resolve.parts(info.context, root.contract_number)

    @strawberry.field(graphql_type=list[Bill] | None)
    async def bills(self, info: Info, root: Parent) -> tuple[bills.Bill, ...]:
        return await resolve.shown_bills(info.context, root.contract_number)

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
        self, info: Info, root: Parent, first: int | None = DEFAULT_HISTORY_SIZE
    ) -> tuple[bills.PastPayment, ...]:
        payments = await resolve.history(info.context, root.contract_number)
        return payments[: max(0, min(DEFAULT_HISTORY_SIZE if first is None else first, 100))]


@strawberry.type
class CustomerQuery:
    @strawberry.field(graphql_type=Customer)
    async def customer(self, info: Info, contract_number: strawberry.ID) -> customers.Customer:
        fields = _selected_names(info.selected_fields)
        reads = {read for field in fields for read in READS_BY_FIELD.get(field, ())}
        return await resolve.customer(info.context, contract_number, reads)

    @strawberry.field(graphql_type=list[Bill])
    async def bills(self, info: Info, contract_number: strawberry.ID) -> tuple[bills.Bill, ...]:
        return await resolve.all_bills(info.context, contract_number)

    @strawberry.field(graphql_type=Bill)
    async def bill(
        self, info: Info, contract_number: strawberry.ID, bill_number: strawberry.ID
    ) -> bills.Bill:
        return await resolve.bill(info.context, contract_number, bill_number)


def _selected_names(selections: Sequence[Selection]) -> Iterator[str]:
    """Yield the names of the fields one level down, fragments included."""
    for selection in selections:
        for child in selection.selections:
            if isinstance(child, SelectedField):
                yield child.name
            else:
                yield from _selected_names([child])
