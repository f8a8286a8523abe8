"""Searching payments: pages of them, and every change as it happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Any

from db import payments
from domain.money import MAX_JSON_INTEGER
from domain.payment_search import PaymentFilter, PaymentOrder, Totals
from domain.payments import Payment
from domain.staff import Operation, Scope, check, scope
from resolvers import pages
from resolvers.context import Context
from resolvers.hub import RESYNC
from resolvers.staff import id_of

# After a lost connection to Redis, changes from this long before are read again.
OVERLAP = timedelta(seconds=10)
MAX_RESYNC = 1000  # payments that are read again
MAX_VERSIONS = 10_000  # versions that one subscription remembers


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(pages.Page[Payment]):
    """One page. Its totals are counted only when a client requests them."""

    filter: PaymentFilter
    scope: Scope
    counting: list[asyncio.Future[Totals]] = field(
        default_factory=list["asyncio.Future[Totals]"], repr=False, compare=False
    )

    async def totals(self) -> Totals:
        """Return the totals, counted once for all fields of a request."""
        if not self.counting:
            self.counting.append(asyncio.ensure_future(payments.totals(self.scope, self.filter)))
        return await self.counting[0]


async def page(
    context: Context, filter: PaymentFilter, request: pages.PageRequest, *, order: PaymentOrder
) -> Page:
    """
    Return a page of the payments that the actor may see.

    A page is cut by key, never by offset: rows that arrive meanwhile are neither skipped nor
    repeated, and page 1,000 costs what page 1 does. Raises InvalidInput.
    """
    actor = check(context.actor, Operation.READ_PAYMENT)
    page = pages.page_range(request, partial(_key, order))
    filter = await _folded(filter)
    actor_scope = scope(actor)
    found = await payments.page(actor_scope, filter, page, order=order)
    cut = pages.cut(found, page, lambda payment: (order, *payments.key(payment, order)))
    return Page(
        rows=cut.rows,
        has_next=cut.has_next,
        has_previous=cut.has_previous,
        key=cut.key,
        filter=filter,
        scope=actor_scope,
    )


async def changes(context: Context, filter: PaymentFilter) -> AsyncGenerator[Payment]:
    """
    Yield every change from now on of the payments that the actor may see and *filter* selects.

    A payment's versions never go back. Where hints were lost, the changes are read from the
    database.
    """
    actor = check(context.actor, Operation.READ_PAYMENT)
    filter = await _folded(filter)
    actor_scope = scope(actor)
    versions: dict[str, int] = {}
    async with context.hub.watch("payments", feed=1000) as watcher:
        changes_until = await context.clock()
        async for hint in watcher:
            if hint is RESYNC:
                changed = await payments.changed_since(changes_until - OVERLAP, most=MAX_RESYNC)
            else:
                payment_id, _, version = hint.partition(" ")
                if versions.get(payment_id, 0) >= int(version):
                    continue
                changed = await payments.by_ids([payment_id])
            for payment in changed:
                changes_until = max(changes_until, payment.updated_at)
                if versions.get(payment.id, 0) >= payment.version:
                    continue
                _remember(versions, payment)
                is_visible = actor_scope.covers(staff_id=payment.staff_id, team=payment.team)
                if is_visible and filter.matches(payment):
                    yield payment


async def _folded(filter: PaymentFilter) -> PaymentFilter:
    """Return the filter with every number spelled as in the database."""
    staff_id = None if filter.staff_id is None else await id_of(filter.staff_id)
    return replace(filter.folded(), staff_id=staff_id)


def _remember(versions: dict[str, int], payment: Payment) -> None:
    versions[payment.id] = payment.version
    if len(versions) > MAX_VERSIONS:  # drop the oldest: its next change may be sent twice
        del versions[next(iter(versions))]


def _key(order: PaymentOrder, made_for: str, *key: Any) -> tuple[object, ...]:
    """Return the key in the parts of a cursor. Raises ValueError for one of another order."""
    *amount, created_at, payment_id = key
    by_amount = order in {PaymentOrder.AMOUNT_ASC, PaymentOrder.AMOUNT_DESC}
    numbers = [int(number) for number in amount]
    fits = made_for == order and len(numbers) == int(by_amount)
    if not (fits and all(0 < number <= MAX_JSON_INTEGER for number in numbers)):
        raise ValueError
    return (*numbers, *pages.by_time(created_at, payment_id))
