"""Refusals for bills and fees that another payment holds or has paid."""

from __future__ import annotations

from collections.abc import Sequence

from db import bills
from domain.bills import BillAlreadyPaid, BillLocked, Item
from domain.payment_request import ProcessPayment
from domain.refusals import Refusal, Refused


async def refusals_of_held(
    contract_number: str, items: Sequence[Item], *, but: str | None = None
) -> tuple[BillLocked | BillAlreadyPaid, ...]:
    """Return a refusal for each item that a payment other than *but* holds or has paid."""
    collections = await bills.collections(contract_number, items)
    return tuple(
        _refusal(item, collection)
        for item in items
        if (collection := collections.get((item.type, item.id))) is not None
        and collection.payment_id != but
    )


async def with_payment_times(request: ProcessPayment, refusals: Sequence[Refusal]) -> Refused:
    """Return the refusals, with the time of payment for each bill that a payment of ours paid."""
    ours = {
        refusal.bill_number: refusal
        for refusal in await refusals_of_held(request.contract_number, request.items)
    }
    known = [
        ours.get(refusal.bill_number, refusal) if isinstance(refusal, BillAlreadyPaid) else refusal
        for refusal in refusals
    ]
    others = [refusal for refusal in ours.values() if refusal not in known]
    return Refused((*known, *others))


def _refusal(item: Item, collection: bills.Collection) -> BillLocked | BillAlreadyPaid:
    if collection.paid_at is not None:
        return BillAlreadyPaid(bill_number=item.id, paid_at=collection.paid_at)
    return BillLocked(
        bill_number=item.id,
        payment_id=collection.payment_id,
        held_by=collection.staff_name,
        method=collection.method,
        until=collection.until,
    )
