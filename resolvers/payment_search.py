"""What the office looks at: pages of payments, and every change as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from db import payments
from domain.money import LARGEST
from domain.payment_search import PaymentFilter, PaymentOrder, Totals
from domain.payments import Payment
from domain.staff import Operation, Scope, check, scope
from resolvers import pages
from resolvers.context import Context
from resolvers.hub import RESYNC
from resolvers.staff import id_of

MOST = 100
# After a lost connection to Redis, changes from this long before are looked for again.
OVERLAP = timedelta(seconds=10)
RESYNC_MOST = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(pages.Page[Payment]):
    """One page; `filter` and `scope` are kept so that totals are counted only when asked for."""

    filter: PaymentFilter
    scope: Scope
    counting: list[asyncio.Future[Totals]] = field(
        default_factory=list["asyncio.Future[Totals]"], repr=False, compare=False
    )

    async def totals(self) -> Totals:
        """Count once, however many of the totals are asked for."""
        if not self.counting:
            self.counting.append(asyncio.ensure_future(payments.totals(self.scope, self.filter)))
        return await self.counting[0]


async def page(
    context: Context,
    filter: PaymentFilter,
    *,
    first: int,
    after: str | None,
    order: PaymentOrder,
) -> Page:
    """
    Return up to *first* of the payments that the asker may see, behind the cursor *after*.

    A page is cut by key, never by offset: rows that arrive meanwhile are neither skipped nor
    repeated, and page 1,000 costs what page 1 does. Raises InvalidInput.
    """
    actor = check(context.actor, Operation.READ_PAYMENT)
    pages.check_first(first, most=MOST)
    filter = await _folded(filter)
    seen = scope(actor)
    key = None if after is None else _key(after, order)
    found = await payments.page(seen, filter, order=order, after=key, most=first + 1)
    return Page(
        rows=tuple(found[:first]),
        has_next=len(found) > first,
        key=lambda payment: (order, *payments.key(payment, order)),
        filter=filter,
        scope=seen,
    )


async def changes(context: Context, filter: PaymentFilter) -> AsyncGenerator[Payment]:
    """
    Yield every change, from now on, of every payment that the asker may see and *filter* names.

    A payment's versions never go back. Where hints were lost, the database is asked what changed.
    """
    actor = check(context.actor, Operation.READ_PAYMENT)
    filter = await _folded(filter)
    seen_by = scope(actor)
    versions: dict[str, int] = {}
    async with context.hub.watch("payments", feed=1000) as wakes:
        heard_at = await context.clock()
        async for hint in wakes:
            if hint is RESYNC:
                changed = await payments.changed_since(heard_at - OVERLAP, most=RESYNC_MOST)
            else:
                payment_id, _, version = hint.partition(" ")
                if versions.get(payment_id, 0) >= int(version):
                    continue
                changed = await payments.by_ids([payment_id])
            for payment in changed:
                heard_at = max(heard_at, payment.updated_at)
                if versions.get(payment.id, 0) >= payment.version:
                    continue
                _remember(versions, payment)
                visible = seen_by.covers(staff_id=payment.staff_id, team=payment.team)
                if visible and filter.holds(payment):
                    yield payment


async def _folded(filter: PaymentFilter) -> PaymentFilter:
    """Return the filter with every number in it as it is kept here."""
    staff_id = None if filter.staff_id is None else await id_of(filter.staff_id)
    return replace(filter.folded(), staff_id=staff_id)


def _remember(versions: dict[str, int], payment: Payment) -> None:
    versions[payment.id] = payment.version
    if len(versions) > 10_000:  # the oldest: a change of it would only be sent once more
        del versions[next(iter(versions))]


def _key(cursor: str, order: PaymentOrder) -> tuple[object, ...]:
    """Return the key in a cursor; raise InvalidInput for one that is not ours or of another order."""

    def meant(made_for: str, *key: Any) -> tuple[object, ...]:
        *amount, created_at, payment_id = key
        by_amount = order in {PaymentOrder.AMOUNT_ASC, PaymentOrder.AMOUNT_DESC}
        numbers = [int(number) for number in amount]
        fits = made_for == order and len(numbers) == int(by_amount)
        if not (fits and all(0 < item <= LARGEST for item in numbers)):
            raise ValueError
        return (*numbers, *pages.by_time(created_at, payment_id))

    return pages.read(cursor, meant)
