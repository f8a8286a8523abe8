"""Who holds a bill that someone else wants to take."""

from __future__ import annotations

from collections.abc import Sequence

from db import bills
from domain.bills import BillAlreadyPaid, BillLocked, Item
from domain.payment_request import ProcessPayment
from domain.refusals import Refusal, Refused


async def held(
    contract_number: str, items: Sequence[Item], *, but: str | None = None
) -> tuple[BillLocked | BillAlreadyPaid, ...]:
    """Return, for each item that a payment holds or has paid (*but* that one), who and when."""
    found = await bills.collections(contract_number, items)
    return tuple(
        _refusal(item, found[item.type, item.id])
        for item in items
        if (item.type, item.id) in found and found[item.type, item.id].payment_id != but
    )


async def dated(asked: ProcessPayment, refusals: Sequence[Refusal]) -> Refused:
    """Return the refusals, those about a bill that was paid through us with when it was."""
    ours = {no.bill_number: no for no in await held(asked.contract_number, asked.items)}
    known = [
        ours.get(no.bill_number, no) if isinstance(no, BillAlreadyPaid) else no for no in refusals
    ]
    others = [no for no in ours.values() if no not in known]
    return Refused((*known, *others))


def _refusal(item: Item, held: bills.Collection) -> BillLocked | BillAlreadyPaid:
    if held.paid_at is not None:
        return BillAlreadyPaid(bill_number=item.id, paid_at=held.paid_at)
    return BillLocked(
        bill_number=item.id,
        payment_id=held.payment_id,
        held_by=held.staff_name,
        method=held.method,
        until=held.until,
    )
