"""
Asking the database for what violates an invariant: all of it, or only what changed lately.

Each question is one statement, so that it sees one moment; the work is the server's, and what comes
back is a count and the first rows. What the checks found is kept for whoever looks.
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

SHOWN = 10  # of the violations of one invariant, those that are named

QUESTIONS = money.QUESTIONS | proofs.QUESTIONS
# About the whole of which a part says nothing, or too slow to find by what changed.
WHOLE_ONLY = {InvariantName.HAND_INS, InvariantName.KEYS}

_CHANGED = """(
    select * from payment where updated_at >= $1
     union select p.* from entry e join payment p on p.id = e.payment where e.created_at >= $1)"""
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
    "{of_hand_ins}": ("", ""),
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


class Unanswered(Exception):
    """The database answered something else than what was asked, or nothing."""


@asynccontextmanager
async def examination(url: str | None = None) -> AsyncGenerator[Any]:
    """
    Yield a connection that may take its time, reads only, and acts as the application does.

    It takes one core and little memory, whatever it is asked: the tables are walked side by side in the
    order of their indexes, and what has to be sorted goes to disk. Raises Unanswered.
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
        raise Unanswered(f"{error}") from error
    finally:
        await connection.close(timeout=5)


async def violations(
    connection: Any, name: InvariantName, since: datetime | None = None
) -> tuple[int, tuple[Violation, ...]]:
    """Return how many rows violate the invariant, and the first of them; *since*: of what changed."""
    question = QUESTIONS[name]
    sealed = {} if since is None else await _sealed_before(connection, since)
    for part, (whole, lately) in _PARTS.items():
        question = question.replace(part, whole if since is None else lately.format(**sealed))
    rows = await connection.fetch(
        f'select count(*) over () as n, found."table", found.row, found.why'
        f" from ({question}) found limit {SHOWN}",
        *([since] if "$1" in question else []),
    )
    found = tuple(Violation(table=row["table"], row=row["row"], why=row["why"]) for row in rows)
    return (rows[0]["n"] if rows else 0), found


async def _sealed_before(connection: Any, since: datetime) -> dict[str, int]:
    """
    Return the last seal before then, its last link, and the transaction of that: all that was written
    since is of a later one. They are asked for first, so that the plan can count on how little follows.
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
    """Yield the seals with their ids, one batch of them in memory at a time."""
    async with connection.transaction():
        where = "where sealed_at >= $1" if since else ""
        cursor = connection.cursor(
            f"select * from seal {where} order by id", *filter(None, [since])
        )
        async for row in cursor:
            yield row["id"], seal_of(row)


async def records(connection: Any) -> AsyncGenerator[tuple[int, str, bytes, str]]:
    """Yield the id, key id, signature and text of every payment record, likewise."""
    async with connection.transaction():
        cursor = connection.cursor(
            "select id, key_id, signature, payload from payment_record order by id", prefetch=1000
        )
        async for row in cursor:
            yield row["id"], row["key_id"], row["signature"], row["payload"]


async def not_linked(connection: Any, heads: list[Head]) -> list[Head]:
    """Return those of *heads* that the chain does not have, or has otherwise."""
    rows = await connection.fetch(
        """
        select told.number, told.hash
          from unnest($1::bigint[], $2::bytea[]) as told (number, hash)
          left join audit_link l on l.number = told.number and l.hash = told.hash
         where l.number is null order by told.number
        """,
        [head.number for head in heads],
        [head.hash for head in heads],
    )
    return [Head(number=row["number"], hash=row["hash"]) for row in rows]


# ── what the checks found ────────────────────────────────────────────────────────────────────────


async def keep(found: Invariant, *, whole: bool) -> None:
    await execute(
        """
        insert into invariant (name, violations, rows, checked_at, fully_checked_at)
        values ($1, $2, $3, $4, case when $5::boolean then $4::timestamptz end)
            on conflict (name) do update
           set violations = excluded.violations, rows = excluded.rows,
               checked_at = excluded.checked_at,
               fully_checked_at = coalesce(excluded.fully_checked_at, invariant.fully_checked_at)
        """,
        found.name,
        found.violations,
        orjson.dumps(found.rows).decode(),
        found.checked_at,
        whole,
    )


async def latest() -> dict[InvariantName, Invariant]:
    """Return what was found last, by name."""
    known = {name.value for name in InvariantName}
    rows = await fetch("select * from invariant where name = any($1)", list(known))
    return {
        InvariantName(row["name"]): Invariant(
            name=InvariantName(row["name"]),
            violations=row["violations"],
            rows=tuple(Violation(**load) for load in orjson.loads(row["rows"])),
            checked_at=row["checked_at"],
        )
        for row in rows
    }


async def whole_at() -> dict[InvariantName, datetime]:
    """Return when each invariant was last checked whole."""
    rows = await fetch(
        "select name, fully_checked_at from invariant where fully_checked_at is not null"
    )
    return {InvariantName(row["name"]): row["fully_checked_at"] for row in rows}


async def now(connection: Any) -> datetime:
    return await connection.fetchval("select clock_timestamp()")
