"""A customer with their contract: what they owe, and which payment holds it now."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Any, TypeVar, cast

from db import bills
from domain import identifiers
from domain.bills import Bill, BillStatus, Fee, ItemType, PastPayment
from domain.customers import Customer, Debt, Part, PartName
from domain.refusals import NotFound
from domain.sentences import Noun
from domain.staff import Operation, check
from resolvers.context import Context
from resolvers.display_cache import READ_SECONDS, Reading

T = TypeVar("T")
Owed = TypeVar("Owed", Bill, Fee)
HELD = "held"
"""What our own payments hold of the contract's bills and fees."""
Held = dict[tuple[ItemType, str], bills.Collection]


async def customer(context: Context, contract_number: str, also: Collection[str] = ()) -> Customer:
    """
    Return the customer of a contract. Raises NotFound, UpstreamUnavailable.

    *also* names what the same request needs next: names of parts, and `held`. It is read in
    parallel, so that a page costs its slowest system and not their sum.
    """
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    for name in also:
        if name == HELD:
            _held(context, number)
        else:
            _part(context, PartName(name), number)
    return (await _part(context, PartName.CUSTOMER, number)).value


async def parts(context: Context, contract_number: str) -> list[Part]:
    """Return how old each part is that this request reads and has an answer about."""
    number = identifiers.contract_number(contract_number)
    started = [context.memo.get(f"{name}:{number}") for name in PartName]
    futures = [cast("asyncio.Future[Reading[Any]]", future) for future in started if future]
    answers = await asyncio.gather(*futures, return_exceptions=True)
    return [answer.part for answer in answers if not isinstance(answer, BaseException)]


async def all_bills(context: Context, contract_number: str) -> tuple[Bill, ...]:
    """Return the contract's bills as Revenue has them now, with the state of our payments."""
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    found, held = await asyncio.gather(context.revenue.bills(number), _held(context, number))
    return _bills_as_held(found, held)


async def bill(context: Context, contract_number: str, bill_number: str) -> Bill:
    """Return one bill of the contract. Raises NotFound for another contract's."""
    number = identifiers.item_id(bill_number)
    for bill in await all_bills(context, contract_number):
        if identifiers.item_id(bill.bill_number) == number:
            return bill
    raise NotFound.of(Noun.BILL, id=number)


# ── parts of a customer, which the display cache may have ────────────────────────────────────────


async def shown_bills(context: Context, contract_number: str) -> tuple[Bill, ...]:
    """Return the contract's bills, each with the state that our payments give it."""
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    reading, held = await asyncio.gather(
        _part(context, PartName.BILLS, number), _held(context, number)
    )
    return _bills_as_held(reading.value, held)


async def fees(context: Context, contract_number: str) -> tuple[Fee, ...]:
    """Return the contract's fees, each with the state that our payments give it."""
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    reading, held = await asyncio.gather(
        _part(context, PartName.FEES, number), _held(context, number)
    )
    found: tuple[Fee, ...] = reading.value
    return tuple(_as_held(fee, held.get((ItemType.FEE, fee.fee_id))) for fee in found)


async def history(context: Context, contract_number: str) -> tuple[PastPayment, ...]:
    """Return the payments that Revenue Management has recorded for the contract, newest first."""
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    found: tuple[PastPayment, ...] = (await _part(context, PartName.HISTORY, number)).value
    return tuple(sorted(found, key=lambda past: past.paid_at, reverse=True))


async def debt(context: Context, contract_number: str) -> Debt:
    """Return what Debt Management holds about the contract."""
    check(context.actor, Operation.READ_CUSTOMER)
    number = identifiers.contract_number(contract_number)
    return (await _part(context, PartName.DEBT, number)).value


async def total_outstanding(context: Context, contract_number: str) -> int:
    """Return the sum of unpaid bills and fees, in VND, locked ones included."""
    owed = await asyncio.gather(
        shown_bills(context, contract_number), fees(context, contract_number)
    )
    return sum(item.amount for group in owed for item in group if item.status is BillStatus.UNPAID)


def _bills_as_held(found: tuple[Bill, ...], held: Held) -> tuple[Bill, ...]:
    return tuple(_as_held(bill, held.get((ItemType.BILL, bill.bill_number))) for bill in found)


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


def _part(context: Context, name: PartName, contract_number: str) -> asyncio.Future[Reading[Any]]:
    async def read(number: str) -> Reading[Any]:
        return await context.display_cache.read(
            number, name, _FETCHES[name](context), clock=context.clock, deadline=_deadline(context)
        )

    return _once(context, name, contract_number, read)


def _deadline(context: Context) -> float:
    """Return until when this request waits for the systems, as a time of the event loop."""
    now = asyncio.get_running_loop().time()
    return cast("float", context.memo.setdefault("deadline", now + READ_SECONDS))


def _held(context: Context, contract_number: str) -> asyncio.Future[Held]:
    return _once(context, HELD, contract_number, bills.collections)


_FETCHES: dict[PartName, Callable[[Context], Callable[[str], Awaitable[Any]]]] = {
    PartName.CUSTOMER: lambda context: context.customers.customer,
    PartName.BILLS: lambda context: context.revenue.bills,
    PartName.FEES: lambda context: context.revenue.fees,
    PartName.HISTORY: lambda context: context.revenue.history,
    PartName.DEBT: lambda context: context.debts.debt,
}
