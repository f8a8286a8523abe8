"""Idempotency keys: what each was first used for, and whether that request still runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from db import processes
from db.engine import execute, fetchrow, fetchval


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """
    The first use of a key. It is `in_flight` while its request is not answered.

    `payment_id` is the payment that it opened or reversed; None where it opened something else.
    """

    fingerprint: bytes
    subject_id: str
    payment_id: str | None
    in_flight: bool


async def claim(
    actor_id: str,
    operation: str,
    key: str,
    *,
    fingerprint: bytes,
    subject_id: str,
    process: int,
    now: datetime,
    answered: bool,
) -> bool:
    """
    Claim the key for *subject_id* in this transaction; False where it was claimed before.

    Waits for another transaction that claims the same key. `answered` is true where nothing follows
    the commit that a repeated request would have to wait for.
    """
    claimed = await fetchval(
        """
        insert into idempotency_key (actor_id, operation, key, fingerprint, subject_id, process,
                                     created_at, answered_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
            on conflict do nothing
        returning 1
        """,
        actor_id,
        operation,
        key,
        fingerprint,
        subject_id,
        process,
        now,
        now if answered else None,
    )
    return claimed is not None


# A request answers within 25 s; an older one without an answer has failed.
MAX_IN_FLIGHT = timedelta(seconds=30)


async def find(actor_id: str, operation: str, key: str, now: datetime) -> Claim | None:
    """Return the first use of the key; None where it was not used."""
    row = await fetchrow(
        """
        select k.fingerprint, k.subject_id, k.process, k.created_at, k.answered_at,
               coalesce(p.id, r.payment) as payment_id
          from idempotency_key k
          left join payment p on p.id = k.subject_id
          left join reversal r on r.id = k.subject_id
         where k.actor_id = $1 and k.operation = $2 and k.key = $3
        """,
        actor_id,
        operation,
        key,
    )
    if row is None:
        return None
    in_flight = (
        row["answered_at"] is None
        and now - row["created_at"] < MAX_IN_FLIGHT
        and await processes.is_alive(row["process"])
    )
    return Claim(
        fingerprint=row["fingerprint"],
        subject_id=row["subject_id"],
        payment_id=row["payment_id"],
        in_flight=in_flight,
    )


async def mark_answered(actor_id: str, operation: str, key: str, now: datetime) -> None:
    """Note that the key's first request has answered."""
    await execute(
        """
        update idempotency_key set answered_at = $4
         where actor_id = $1 and operation = $2 and key = $3 and answered_at is null
        """,
        actor_id,
        operation,
        key,
        now,
    )
