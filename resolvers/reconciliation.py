"""Reconciliation: how far a gateway's settlement files and our books agree on a day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from db import reconciliation
from domain.methods import GatewayName
from domain.reconciliation import ForeignLines, Reconciliation, ReconciliationLine
from domain.refusals import InvalidInput
from domain.settlement import SettlementResult
from domain.staff import Operation, check
from resolvers.context import Context

MOST = 1000


async def day(context: Context, gateway: GatewayName, date: date) -> Reconciliation:
    """Return the gateway's Vietnamese day as a whole; its lines are read when they are asked for."""
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
    """Return up to *first* lines of the *day*, those that do not agree first. Raises InvalidInput."""
    if not 1 <= first <= MOST:
        raise InvalidInput(
            field="first",
            problem_vi=f"phải từ 1 đến {MOST}.",
            problem_en=f"must be from 1 to {MOST}.",
        )
    return await reconciliation.lines(day.gateway, day.date, results=results, most=first)


async def foreign(day: Reconciliation) -> list[ForeignLines]:
    """Return what the lines of other programs on our account sum up to."""
    return await reconciliation.foreign(day.gateway, day.date)
