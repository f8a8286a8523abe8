"""Merchants' orders. `of` converts a row, here and where a payment is read with its order."""

from __future__ import annotations

from db.engine import Row, execute, fetch, fetchrow, fetchval
from db.errors import RowMissing
from domain.money import Currency
from domain.orders import Order, OrderStatus
from domain.payments import Payment

# Prefixed, because a row holds them beside its payment's columns; `of` reads them.
COLUMNS = """
o.id as order_id, o.merchant as order_merchant, m.name as order_merchant_name,
o.reference as order_reference, o.amount as order_amount, o.currency as order_currency,
o.description as order_description, o.status as order_status, o.created_at as order_created_at,
o.paid_at as order_paid_at
"""
_SELECT = f"select {COLUMNS} from merchant_order o join staff m on m.staff_id = o.merchant"


class ReferenceTaken(Exception):
    """The merchant has an order with this reference since it was read. The transaction is lost."""


async def add(order: Order) -> None:
    """Add an order. Raises ReferenceTaken."""
    row = await fetchrow(
        """
        insert into merchant_order (id, merchant, reference, amount, currency, description, status,
                                    created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
            on conflict (merchant, reference) do nothing
        returning 1
        """,
        order.id,
        order.merchant_id,
        order.reference,
        order.amount,
        order.currency,
        order.description,
        order.status,
        order.created_at,
    )
    if row is None:
        raise ReferenceTaken(order.reference)


async def by_id(order_id: str) -> Order | None:
    row = await fetchrow(_SELECT + " where o.id = $1", order_id)
    return None if row is None else from_row(row)


async def get(order_id: str) -> Order:
    """Return the order. Raises RowMissing."""
    if (order := await by_id(order_id)) is None:
        raise RowMissing("merchant_order", order_id)
    return order


async def by_reference(merchant_id: str, reference: str) -> Order | None:
    row = await fetchrow(
        _SELECT + " where o.merchant = $1 and o.reference = $2", merchant_id, reference
    )
    return None if row is None else from_row(row)


async def lock(order_id: str) -> Order | None:
    """Lock the order until the transaction ends, and return it; None where it does not exist."""
    if await fetchval("select 1 from merchant_order where id = $1 for update", order_id) is None:
        return None
    return await by_id(order_id)


async def locked(order_id: str) -> Order:
    """Lock the order as `lock` does, and return it. Raises RowMissing."""
    if (order := await lock(order_id)) is None:
        raise RowMissing("merchant_order", order_id)
    return order


async def collecting_payment_id(order_id: str, *, but: str | None = None) -> str | None:
    """Return the id of the live or successful payment of the order, other than *but*."""
    return await fetchval(
        """
        select id from payment
         where merchant_order = $1 and status in ('PENDING', 'PROCESSING', 'SUCCESS')
           and id is distinct from $2
        """,
        order_id,
        but,
    )


async def payment_ids(order_id: str) -> list[str]:
    """Return the ids of all payments of the order, oldest first."""
    rows = await fetch(
        "select id from payment where merchant_order = $1 order by created_at, id", order_id
    )
    return [row["id"] for row in rows]


async def mark_paid(payment: Payment) -> None:
    """Mark the order of a payment that succeeded."""
    if payment.order is not None:
        await execute(
            "update merchant_order set status = $2, paid_at = $3 where id = $1",
            payment.order.id,
            OrderStatus.PAID,
            payment.completed_at,
        )


def from_row(row: Row) -> Order | None:
    """Return the order in a row; None where the row has none."""
    if row["order_id"] is None:
        return None
    return Order(
        id=row["order_id"],
        merchant_id=row["order_merchant"],
        merchant_name=row["order_merchant_name"],
        reference=row["order_reference"],
        amount=row["order_amount"],
        currency=Currency(row["order_currency"]),
        description=row["order_description"],
        status=OrderStatus(row["order_status"]),
        created_at=row["order_created_at"],
        paid_at=row["order_paid_at"],
    )
