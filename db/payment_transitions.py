"""What a payment's transitions leave beside it: audit rows, a signed record and jobs."""

from __future__ import annotations

from collections.abc import Sequence

from db import audit, jobs
from db.audit import AuditEvent
from db.engine import execute
from db.jobs import Job
from domain.receipts import Record


async def add(
    events: Sequence[AuditEvent], *, record: Record | None, new_jobs: Sequence[Job]
) -> None:
    """Add all of them by one statement, in the transaction that moves the payment."""
    records = [] if record is None else [record]
    await execute(
        f"""
        with recorded as (
            insert into payment_record (payment, version, payload, key_id, signature, signed_at)
            select * from unnest($13::text[], $14::int[], $15::text[], $16::text[], $17::bytea[],
                                 $18::timestamptz[])),
        enqueued as ({jobs.insert(first=19)})
        {audit.INSERT}
        """,
        *audit.columns(events),
        [record.payment_id for record in records],
        [record.version for record in records],
        [record.payload for record in records],
        [record.key_id for record in records],
        [record.signature for record in records],
        [record.signed_at for record in records],
        *jobs.columns(new_jobs),
    )
