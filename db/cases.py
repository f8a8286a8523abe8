"""Cases, opened in the transaction that found the money."""

from __future__ import annotations

from db.engine import execute
from domain.cases import Case


async def open_case(case: Case) -> None:
    await execute(
        """
        insert into money_case (id, kind, status, amount, payment, gateway, opened_at)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        case.id,
        case.kind,
        case.status,
        case.amount,
        case.payment_id,
        case.gateway,
        case.opened_at,
    )
