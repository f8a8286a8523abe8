"""Idempotency keys: what each was first used for, and whether that request still runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from db import processes
from db.engine import execute, fetchrow
from domain.staff import Unauthenticated


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
    at: datetime | None,
    answered: bool,
    session: str | None = None,
) -> datetime | None:
    """
    Claim the key for *subject_id* in this transaction; return the time, None where it is taken.

    Waits for another transaction that claims the same key. The time is *at*, or the database's
    clock. `answered` is true where nothing follows the commit that a repeated request would have to
    wait for. Raises Unauthenticated where *session* has ended.
    """
    row = await fetchrow(
        """
        with clock as materialized (select coalesce($8, clock_timestamp()) as now),
        claimed as (
            insert into idempotency_key (actor_id, operation, key, fingerprint, subject_id, process,
                                         created_at, answered_at)
            select $1, $2, $3, $4, $5, $6, now, case when $7 then now end from clock
                on conflict do nothing
            returning 1)
        select now, exists (select from claimed) as claimed,
               $9::text is null or exists (
                   select from session
                    where id = $9 and ended_at is null and expires_at > now) as session_is_open
          from clock
        """,
        actor_id,
        operation,
        key,
        fingerprint,
        subject_id,
        process,
        answered,
        at,
        session,
    )
    assert row is not None, "a select from one row returns one"
    if not row["session_is_open"]:
        raise Unauthenticated
    return row["now"] if row["claimed"] else None


# A request answers within 25 s; an older one without an answer has failed.
MAX_IN_FLIGHT = timedelta(seconds=30)


async def find(actor_id: str, operation: str, key: str, at: datetime | None) -> Claim | None:
    """Return the first use of the key as of *at*, by default now; None where it was not used."""
    row = await fetchrow(
        """
        select k.fingerprint, k.subject_id, k.process, k.answered_at,
               coalesce($4, clock_timestamp()) - k.created_at as age,
               coalesce(p.id, r.payment) as payment_id
          from idempotency_key k
          left join payment p on p.id = k.subject_id
          left join reversal r on r.id = k.subject_id
         where k.actor_id = $1 and k.operation = $2 and k.key = $3
        """,
        actor_id,
        operation,
        key,
        at,
    )
    if row is None:
        return None
    in_flight = (
        row["answered_at"] is None
        and row["age"] < MAX_IN_FLIGHT
        and await processes.is_alive(row["process"])
    )
    return Claim(
        fingerprint=row["fingerprint"],
        subject_id=row["subject_id"],
        payment_id=row["payment_id"],
        in_flight=in_flight,
    )


async def mark_answered(actor_id: str, operation: str, key: str, at: datetime | None) -> None:
    """Note that the key's first request has answered, at *at* or by default now."""
    await execute(
        """
        update idempotency_key set answered_at = coalesce($4, clock_timestamp())
         where actor_id = $1 and operation = $2 and key = $3 and answered_at is null
        """,
        actor_id,
        operation,
        key,
        at,
    )
