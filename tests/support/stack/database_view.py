"""What the API does not serve, read from the stack's database."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg


@dataclass(frozen=True, slots=True)
class DatabaseView:
    """The rows that a journey checks; `url` names the database."""

    url: str

    async def entries(self, payment_id: str) -> list[tuple[str, str, int]]:
        """Return each posting of a payment as (debit, credit, amount)."""
        rows = await self._rows(
            "select p.debit, p.credit, p.amount from posting p join entry e on e.id = p.entry"
            " where e.payment = $1 order by p.id",
            payment_id,
        )
        return [(row["debit"], row["credit"], row["amount"]) for row in rows]

    async def cases(self, payment_id: str) -> list[tuple[str, str]]:
        """Return each case of a payment as (kind, status)."""
        rows = await self._rows(
            "select kind, status from money_case where payment = $1 order by id", payment_id
        )
        return [(row["kind"], row["status"]) for row in rows]

    async def payments(self, contract: str) -> list[str]:
        """Return the status of every payment of a contract, oldest first."""
        rows = await self._rows(
            "select status from payment where contract_number = $1 order by created_at", contract
        )
        return [row["status"] for row in rows]

    async def _rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(self.url)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()
