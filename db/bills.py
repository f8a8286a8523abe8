"""
Locks on bills and fees: an item is held by at most one live or successful payment.

`payments.add` takes the locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from db.engine import execute, fetch, fetchval
from domain.bills import Item, ItemType, Lock
from domain.methods import PaymentMethod
from domain.payments import Payment, PaymentStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """The payment that holds an item: live, or successful where `paid_at` is set."""

    type: ItemType
    id: str
    payment_id: str
    staff_id: str
    staff_name: str
    method: PaymentMethod
    until: datetime | None
    paid_at: datetime | None

    @property
    def lock(self) -> Lock | None:
        """The lock of a live payment; None where the item is paid."""
        if self.paid_at is not None:
            return None
        return Lock(
            payment_id=self.payment_id,
            method=self.method,
            held_by=self.staff_name,
            until=self.until,
        )


async def release(payment: Payment) -> None:
    await execute("update payment_item set locked = false where payment = $1", payment.id)


class TakenMeanwhile(Exception):
    """Another payment took an item since it was read. The transaction is lost: start it again."""


async def lock_again(payment: Payment) -> None:
    """Lock the items of a late success in sorted order. Raises TakenMeanwhile."""
    try:
        for item in sorted(payment.items):
            await execute(
                "update payment_item set locked = true"
                " where payment = $1 and type = $2 and item_id = $3",
                payment.id,
                item.type,
                item.id,
            )
    except asyncpg.UniqueViolationError:
        raise TakenMeanwhile from None


async def are_open(payment: Payment) -> bool:
    """Return whether no other payment holds or has paid any of the payment's items."""
    return not await fetchval(
        """
        select exists (
            select from payment_item mine
              join payment_item other using (contract_number, type, item_id)
             where mine.payment = $1 and other.payment <> $1 and other.locked)
        """,
        payment.id,
    )


async def collections(
    contract_number: str, items: Sequence[Item] | None = None
) -> dict[tuple[ItemType, str], Collection]:
    """Return the collection of each held item of the contract, of *items* only where given."""
    rows = await fetch(
        """
        select i.type, i.item_id, p.id, p.staff, s.name, p.method, p.status, p.expires_at,
               p.completed_at
          from payment_item i
          join payment p on p.id = i.payment
          join staff s on s.staff_id = p.staff
         where i.locked and i.contract_number = $1
           and ($2::text[] is null or (i.type, i.item_id) in (
                   select * from unnest($2::text[], $3::text[])))
        """,
        contract_number,
        None if items is None else [item.type for item in items],
        None if items is None else [item.id for item in items],
    )
    return {
        (ItemType(row["type"]), row["item_id"]): Collection(
            type=ItemType(row["type"]),
            id=row["item_id"],
            payment_id=row["id"],
            staff_id=row["staff"],
            staff_name=row["name"],
            method=PaymentMethod(row["method"]),
            until=row["expires_at"],
            paid_at=row["completed_at"] if row["status"] == PaymentStatus.SUCCESS else None,
        )
        for row in rows
    }
