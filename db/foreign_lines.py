"""Lines of other programs that are not written as ours are, as settlement files list them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from db.engine import execute, fetch
from domain.methods import GatewayName
from domain.settlement import ForeignLine


async def counts(gateway: GatewayName, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Return how many stored lines each of *digests* has."""
    rows = await fetch(
        """
        select digest, count(*) as count from foreign_line
         where gateway = $1 and digest = any($2) group by digest
        """,
        gateway,
        digests,
    )
    return {bytes(row["digest"]): row["count"] for row in rows}


async def add(
    gateway: GatewayName, lines: Sequence[ForeignLine], *, settlement_id: str, day: date
) -> None:
    """Store *lines*; one whose day cannot be read counts to *day*."""
    await execute(
        """
        insert into foreign_line (settlement, gateway, day, digest, reference, kind, amount,
                                  currency)
        select $1, $2, line.day, line.digest, line.reference, line.kind, line.amount, line.currency
          from unnest($3::date[], $4::bytea[], $5::text[], $6::text[], $7::bigint[], $8::text[])
               as line (day, digest, reference, kind, amount, currency)
        """,
        settlement_id,
        gateway,
        [line.day or day for line in lines],
        [line.digest for line in lines],
        [line.reference for line in lines],
        [line.kind for line in lines],
        [line.amount for line in lines],
        [line.currency for line in lines],
    )
