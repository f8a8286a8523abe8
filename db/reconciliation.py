"""The reconciliation of a gateway's day: its settlement files compared with our books."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from db.engine import Row, fetch, fetchrow, fetchval
from domain.methods import GatewayName
from domain.money import MAX_JSON_INTEGER, Currency
from domain.reconciliation import ForeignLines, ReconciliationCounts, ReconciliationLine
from domain.settlement import LineKind, SettlementResult


async def is_covered(gateway: GatewayName, day: date) -> bool:
    """
    Return whether an imported file covers the day, or has a line of it.

    Lines of other programs do not count: their days may be wrong, and no line of ours is compared.
    """
    return await fetchval(
        """
        select exists (select from settlement
                        where gateway = $1 and $2 between first_day and last_day)
            or exists (select from settlement_line
                        where gateway = $1 and day = $2 and result <> 'FOREIGN')
        """,
        gateway,
        day,
    )


async def counts(gateway: GatewayName, day: date) -> tuple[ReconciliationCounts, int]:
    """Return the day's number of lines by result, and the number of their open cases."""
    row = await fetchrow(
        """
        select count(*) filter (where l.result = 'MATCHED') as matched,
               count(*) filter (where l.result = 'AMOUNT_DIFFERS') as amount_differs,
               count(*) filter (where l.result = 'OURS_ONLY') as ours_only,
               count(*) filter (where l.result = 'THEIRS_ONLY') as theirs_only,
               count(*) filter (where l.result = 'DUPLICATE') as duplicate,
               count(distinct c.id) filter (where c.status <> 'RESOLVED') as open_cases
          from settlement_line l left join money_case c on c.id = l.money_case
         where l.gateway = $1 and l.day = $2
        """,
        gateway,
        day,
    )
    assert row is not None
    found = {name: count for name, count in row.items() if name != "open_cases"}
    return ReconciliationCounts(**found), row["open_cases"]


async def lines(
    gateway: GatewayName, day: date, *, results: Sequence[SettlementResult] | None, most: int
) -> list[ReconciliationLine]:
    """
    Return lines of the day, unmatched ones first.

    *results* None is all but FOREIGN, which are another program's lines.
    """
    rows = await fetch(
        """
        select * from settlement_line
         where gateway = $1 and day = $2
           and ($3::text[] is null and result <> 'FOREIGN' or result = any($3))
         order by result = 'MATCHED', id limit $4
        """,
        gateway,
        day,
        results,
        most,
    )
    return [line_of(row) for row in rows]


async def foreign(gateway: GatewayName, day: date) -> list[ForeignLines]:
    """
    Return the number and sum of the day's lines of other programs, by kind and currency.

    Lines whose kind, currency or amount cannot be read are counted apart.
    """
    rows = await fetch(
        """
        select kind, currency, count(*) as count, sum(amount) as amount
          from (select kind, currency, reported_amount as amount from settlement_line
                 where gateway = $1 and day = $2 and result = 'FOREIGN'
                 union all
                select kind, currency, amount from foreign_line
                 where gateway = $1 and day = $2) line
         group by kind, currency, amount is null
         order by kind, currency, amount is null
        """,
        gateway,
        day,
    )
    return [
        ForeignLines(
            kind=LineKind(row["kind"]) if row["kind"] else None,
            currency=Currency(row["currency"]) if row["currency"] else None,
            count=row["count"],
            amount=_countable(row["amount"]),
        )
        for row in rows
    ]


def _countable(amount: Decimal | None) -> int | None:
    return None if amount is None or amount > MAX_JSON_INTEGER else int(amount)


def line_of(row: Row) -> ReconciliationLine:
    return ReconciliationLine(
        id=row["id"],
        settlement_id=row["settlement"],
        kind=LineKind(row["kind"]),
        reference=row["reference"],
        gateway_id=row["gateway_id"],
        day=row["day"],
        at=row["at"],
        reported_amount=row["reported_amount"],
        own_amount=row["own_amount"],
        currency=Currency(row["currency"]),
        result=SettlementResult(row["result"]),
        payment_id=row["payment"],
        reversal_id=row["reversal"],
        case_id=row["money_case"],
    )
