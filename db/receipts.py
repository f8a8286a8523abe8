"""The signed records of final payments: added with the final status, and never changed."""

from __future__ import annotations

from collections.abc import Sequence

from db.engine import execute, fetch
from domain.receipts import Record


async def add(record: Record) -> None:
    await execute(
        """
        insert into payment_record (payment, version, payload, key_id, signature, signed_at)
        values ($1, $2, $3, $4, $5, $6)
        """,
        record.payment_id,
        record.version,
        record.payload,
        record.key_id,
        record.signature,
        record.signed_at,
    )


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
