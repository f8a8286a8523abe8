"""
Checks of the invariants: of all rows, or of those that changed lately. Their results are stored.

Each check is one statement, so that it sees one moment. It returns a count and the first rows.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from db.chain import seal_of
from db.engine import APPLICATION_ROLE, execute, fetch, own_connection
from db.invariants import money, proofs
from db.invariants.money import CASH_IN_HAND
from domain.chain import Head, Seal
from domain.invariants import Invariant, InvariantName, Violation

MAX_ROWS = 10  # violations of one invariant that are returned with their rows

QUERIES = money.QUERIES | proofs.QUERIES
# Checked over all rows only: a check of recent changes would prove nothing, or be too slow.
FULL_CHECK_ONLY = {InvariantName.HAND_INS, InvariantName.KEYS}

# The payments that changed since $1.
_CHANGED = """(
    select * from payment where updated_at >= $1
     union select p.* from entry e join payment p on p.id = e.payment where e.created_at >= $1)"""
# Each placeholder of a query: its text in a check of all rows, and of what changed lately.
_PARTS = {
    "{payments}": ("payment", _CHANGED),
    "{of_payments}": ("", f"where payment in (select id from {_CHANGED} changed)"),
    "{entries}": ("entry", "(select * from entry where created_at >= $1)"),
    "{lately}": ("", "and p.created_at >= $1::timestamptz - interval '2 days'"),
    "{cash_in_hand}": (CASH_IN_HAND, ""),
    "{of_days}": (
        "",
        "and business_date > (($1::timestamptz - interval '2 days')"
        " at time zone 'Asia/Ho_Chi_Minh')::date",
    ),
    "{of_reversals}": ("", "r.updated_at >= $1 and"),
    "{audit_lately}": ("", "and e.txid > {txid}"),
    "{postings_lately}": (
        "",
        "where t.entry in (select id from entry where created_at >= $1"
        " union select entry from written)",
    ),
    "{records_lately}": ("", "and r.signed_at >= $1"),
    "{links_lately}": ("", "where number >= {link} - 1"),
    "{but_the_first}": ("", "where l.number >= {link}"),
    "{first_sealed}": ("1", "first"),
    "{seals_lately}": ("", "where id >= {seal}"),
}


class ChecksIncomplete(Exception):
    """A check has no result: its statement failed, or the connection was lost."""


@asynccontextmanager
async def open_check_connection(url: str | None = None) -> AsyncGenerator[Any]:
    """
    Yield a read-only connection without a timeout, which acts as the application does.

    It uses one core and little memory: tables are joined by merging their indexes, and sorts spill
    to disk. Raises ChecksIncomplete.
    """
    connection = await own_connection(url)
    try:
        await connection.execute(
            f"set role {APPLICATION_ROLE}; set default_transaction_read_only = on;"
            " set max_parallel_workers_per_gather = 0; set enable_hashjoin = off;"
            " set work_mem = '8MB'; set jit = off; set timezone = 'UTC'"
        )
        yield connection
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise ChecksIncomplete(f"{error}") from error
    finally:
        await connection.close(timeout=5)


async def violations(
    connection: Any, name: InvariantName, since: datetime | None = None
) -> tuple[int, tuple[Violation, ...]]:
    """Return how many rows violate the invariant, and the first ones; *since* limits the rows."""
    query = QUERIES[name]
    sealed = {} if since is None else await _sealed_before(connection, since)
    for part, (whole, lately) in _PARTS.items():
        query = query.replace(part, whole if since is None else lately.format(**sealed))
    rows = await connection.fetch(
        f'select count(*) over () as n, found."table", found.row, found.why'
        f" from ({query}) found limit {MAX_ROWS}",
        *([since] if "$1" in query else []),
    )
    first = tuple(Violation(table=row["table"], row=row["row"], why=row["why"]) for row in rows)
    return (rows[0]["n"] if rows else 0), first


async def _sealed_before(connection: Any, since: datetime) -> dict[str, int]:
    """
    Return the last seal before *since*, its last link, and that link's transaction.

    All later rows are of later transactions. With these numbers as literals the planner expects
    few rows.
    """
    row = await connection.fetchrow(
        """
        select s.id as seal, s.last as link, coalesce(e.txid, 0) as txid
          from seal s
          left join audit_link l on l.number = s.last
          left join audit_event e on e.id = l.event
         where s.sealed_at < $1 order by s.id desc limit 1
        """,
        since,
    )
    return dict(row or {"seal": 0, "link": 0, "txid": 0})


async def seals(connection: Any, since: datetime | None = None) -> AsyncGenerator[tuple[int, Seal]]:
    """Yield the seals with their ids, in batches."""
    async with connection.transaction():
        where = "where sealed_at >= $1" if since else ""
        cursor = connection.cursor(
            f"select * from seal {where} order by id", *filter(None, [since])
        )
        async for row in cursor:
            yield row["id"], seal_of(row)


async def records(connection: Any) -> AsyncGenerator[tuple[int, str, bytes, str]]:
    """Yield the id, key id, signature and payload of every payment record, in batches."""
    async with connection.transaction():
        cursor = connection.cursor(
            "select id, key_id, signature, payload from payment_record order by id", prefetch=1000
        )
        async for row in cursor:
            yield row["id"], row["key_id"], row["signature"], row["payload"]


async def not_linked(connection: Any, heads: list[Head]) -> list[Head]:
    """Return those of *heads* whose link is missing or has another hash."""
    rows = await connection.fetch(
        """
        select head.number, head.hash
          from unnest($1::bigint[], $2::bytea[]) as head (number, hash)
          left join audit_link l on l.number = head.number and l.hash = head.hash
         where l.number is null order by head.number
        """,
        [head.number for head in heads],
        [head.hash for head in heads],
    )
    return [Head(number=row["number"], hash=row["hash"]) for row in rows]


# ── results ──────────────────────────────────────────────────────────────────────────────────────


async def store(result: Invariant, *, is_full: bool) -> None:
    """Store the latest result of a check; *is_full* is true where it looked at all rows."""
    await execute(
        """
        insert into invariant (name, violations, rows, checked_at, fully_checked_at)
        values ($1, $2, $3, $4, case when $5::boolean then $4::timestamptz end)
            on conflict (name) do update
           set violations = excluded.violations, rows = excluded.rows,
               checked_at = excluded.checked_at,
               fully_checked_at = coalesce(excluded.fully_checked_at,
                                       invariant.fully_checked_at)
        """,
        result.name,
        result.violations,
        orjson.dumps(result.rows).decode(),
        result.checked_at,
        is_full,
    )


async def latest() -> dict[InvariantName, Invariant]:
    """Return the latest result of each invariant that this version knows."""
    known = {name.value for name in InvariantName}
    rows = await fetch("select * from invariant where name = any($1)", list(known))
    return {
        InvariantName(row["name"]): Invariant(
            name=InvariantName(row["name"]),
            violations=row["violations"],
            rows=tuple(Violation(**fields) for fields in orjson.loads(row["rows"])),
            checked_at=row["checked_at"],
        )
        for row in rows
    }


async def fully_checked_at() -> dict[InvariantName, datetime]:
    """Return when each invariant was last checked over all rows."""
    rows = await fetch(
        "select name, fully_checked_at from invariant where fully_checked_at is not null"
    )
    return {InvariantName(row["name"]): row["fully_checked_at"] for row in rows}


async def now(connection: Any) -> datetime:
    """Return the database's time in UTC."""
    return await connection.fetchval("select clock_timestamp()")
