"""A customer with their contract: what they owe, and which payment holds it now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import TypeVar, cast

from db import bills
from domain import identifiers
from domain.bills import Bill, BillStatus, Fee, ItemType, PastPayment
from domain.customers import Customer, Debt
from domain.refusals import NotFound
from domain.sentences import Noun
from domain.staff import Operation, check
from resolvers.context import Context

T = TypeVar("T")
Owed = TypeVar("Owed", Bill, Fee)
Held = dict[tuple[ItemType, str], bills.Collection]


async def customer(context: Context, contract_number: str, also: Collection[str] = ()) -> Customer:
    """
    Return the customer of a contract. Raises NotFound, UpstreamUnavailable.

    *also* names what the same request needs next (`bills`, `fees`, `history`, `debt`, `held`). It
    is read in parallel, so that a page costs its slowest system and not their sum.
    """
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    for name in also:
        _READS[name](context, number)
    return await context.customers.customer(number)


async def all_bills(context: Context, contract_number: str) -> tuple[Bill, ...]:
    """Return the contract's bills, each with the state that our payments give it."""
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    found, held = await asyncio.gather(_bills(context, number), _held(context, number))
    return tuple(_as_held(bill, held.get((ItemType.BILL, bill.bill_number))) for bill in found)


async def bill(context: Context, contract_number: str, bill_number: str) -> Bill:
    """Return one bill of the contract. Raises NotFound for another contract's."""
    number = identifiers.item_id(bill_number)
    for bill in await all_bills(context, contract_number):
        if identifiers.item_id(bill.bill_number) == number:
            return bill
    raise NotFound.of(Noun.BILL, id=number)


async def fees(context: Context, contract_number: str) -> tuple[Fee, ...]:
    """Return the contract's fees, each with the state that our payments give it."""
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    found, held = await asyncio.gather(_fees(context, number), _held(context, number))
    return tuple(_as_held(fee, held.get((ItemType.FEE, fee.fee_id))) for fee in found)


async def history(context: Context, contract_number: str) -> tuple[PastPayment, ...]:
    """Return the payments that Revenue Management has recorded for the contract, newest first."""
    check(context.actor, Operation.READ_CUSTOMER)
    found = await _history(context, identifiers.contract_number(contract_number))
    return tuple(sorted(found, key=lambda past: past.paid_at, reverse=True))


async def debt(context: Context, contract_number: str) -> Debt:
    """Return what Debt Management holds about the contract."""
    check(context.actor, Operation.READ_CUSTOMER)
    return await _debt(context, identifiers.contract_number(contract_number))


async def total_outstanding(context: Context, contract_number: str) -> int:
    """Return the sum of unpaid bills and fees, in VND, locked ones included."""
    owed = await asyncio.gather(all_bills(context, contract_number), fees(context, contract_number))
    return sum(item.amount for group in owed for item in group if item.status is BillStatus.UNPAID)


def _as_held(owed: Owed, collection: bills.Collection | None) -> Owed:
    """Return *owed* with the state that our payment gives it; Revenue learns of it later."""
    if collection is None:
        return owed
    if collection.paid_at is not None:
        return replace(owed, status=BillStatus.PAID)
    return replace(owed, lock=collection.lock)


def _once(
    context: Context, name: str, contract_number: str, read: Callable[[str], Awaitable[T]]
) -> asyncio.Future[T]:
    """Start a read once a request; every caller awaits the same one."""
    key = f"{name}:{contract_number}"
    started = context.memo.get(key)
    if started is None:
        started = asyncio.ensure_future(read(contract_number))
        started.add_done_callback(_ignore_error)
        context.memo[key] = started
    return cast("asyncio.Future[T]", started)


def _ignore_error(done: asyncio.Future[T]) -> None:
    """Retrieve the error of a read that nobody awaits, so that asyncio does not log it."""
    if not done.cancelled():
        done.exception()


def _bills(context: Context, contract_number: str) -> asyncio.Future[tuple[Bill, ...]]:
    return _once(context, "bills", contract_number, context.revenue.bills)


def _fees(context: Context, contract_number: str) -> asyncio.Future[tuple[Fee, ...]]:
    return _once(context, "fees", contract_number, context.revenue.fees)


def _history(context: Context, contract_number: str) -> asyncio.Future[tuple[PastPayment, ...]]:
    return _once(context, "history", contract_number, context.revenue.history)


def _debt(context: Context, contract_number: str) -> asyncio.Future[Debt]:
    return _once(context, "debt", contract_number, context.debts.debt)


def _held(context: Context, contract_number: str) -> asyncio.Future[Held]:
    return _once(context, "held", contract_number, bills.collections)


_READS: dict[str, Callable[[Context, str], object]] = {
    "bills": _bills,
    "fees": _fees,
    "history": _history,
    "debt": _debt,
    "held": _held,
}
