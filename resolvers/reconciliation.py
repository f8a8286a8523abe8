"""Reconciliation: how far a gateway's settlement files and our ledger agree on a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from db import reconciliation
from domain.methods import GatewayName
from domain.reconciliation import ForeignLines, Reconciliation, ReconciliationLine
from domain.settlement import SettlementResult
from domain.staff import Operation, check
from resolvers.context import Context
from resolvers.pages import check_size

MAX_PAGE_SIZE = 1000


async def day(context: Context, gateway: GatewayName, date: date) -> Reconciliation:
    """Return the counts of a gateway's Vietnamese day; its lines are read only when requested."""
    check(context.actor, Operation.READ_RECONCILIATION)
    counts, open_cases = await reconciliation.counts(gateway, date)
    return Reconciliation(
        gateway=gateway,
        date=date,
        imported=await reconciliation.is_covered(gateway, date),
        open_cases=open_cases,
        counts=counts,
    )


async def lines(
    day: Reconciliation, *, results: Sequence[SettlementResult] | None, first: int
) -> list[ReconciliationLine]:
    """Return up to *first* lines of the *day*, differences first. Raises InvalidInput."""
    check_size(first, field="first", most=MAX_PAGE_SIZE)
    return await reconciliation.lines(day.gateway, day.date, results=results, most=first)


async def foreign(day: Reconciliation) -> list[ForeignLines]:
    """Return the sums of the lines that belong to other programs on our account."""
    return await reconciliation.foreign(day.gateway, day.date)
