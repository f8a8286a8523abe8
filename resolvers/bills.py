"""Who holds a bill that someone else wants to take."""

from __future__ import annotations

from db import bills
from domain.bills import BillAlreadyPaid, BillLocked, Item
from domain.payments import Payment
from domain.refusals import Refusal


async def held_by_others(payment: Payment) -> tuple[Refusal, ...]:
    """Return, for each item that someone else holds or has paid, the refusal that says so."""
    held = await bills.collections(payment.contract_number, payment.items)
    return tuple(
        _refusal(item, held[item.type, item.id])
        for item in payment.items
        if (item.type, item.id) in held and held[item.type, item.id].payment_id != payment.id
    )


def _refusal(item: Item, held: bills.Collection) -> Refusal:
    if held.paid_at is not None:
        return BillAlreadyPaid(bill_number=item.id, paid_at=held.paid_at)
    return BillLocked(
        bill_number=item.id,
        payment_id=held.payment_id,
        held_by=held.staff_name,
        method=held.method,
        until=held.until,
    )
