"""The signed records of final payments: added with the final status, and never changed."""

from __future__ import annotations

from collections.abc import Sequence

from db.engine import fetch
from domain.receipts import Record


async def latest(payment_ids: Sequence[str]) -> dict[str, Record]:
    """Return the latest record of each payment that has one, by the payment's id."""
    rows = await fetch(
        """
        select distinct on (payment) * from payment_record
         where payment = any($1) order by payment, version desc
        """,
        payment_ids,
    )
    return {
        row["payment"]: Record(
            payment_id=row["payment"],
            version=row["version"],
            payload=row["payload"],
            key_id=row["key_id"],
            signature=row["signature"],
            signed_at=row["signed_at"],
        )
        for row in rows
    }
