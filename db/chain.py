"""
The chain of audit rows and its seals.

One sealer at a time links rows in the order of their transactions. No row can be added before
a linked one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from db.engine import Row, execute, fetch, fetchrow, fetchval
from domain.chain import BEGINNING, Link, Seal

_LOCK = 0x5345414C  # "SEAL"

# The text of a row that its link's hash covers. PostgreSQL's text of a composite value tells null
# from '', and takes half the time of JSON. The columns are listed, so that neither a session's
# settings nor a later column changes the text.
ROW_TEXT = """
    row(e.id, e.txid, (extract(epoch from e.at) * 1000000)::bigint, e.actor, e.action, e.outcome,
        e.payment_id, e.from_status, e.to_status, e.evidence, e.source, e.event_id, e.request_id,
        e.details)::text
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """The last link, with the transaction and id of its audit row."""

    number: int = 0
    hash: bytes = BEGINNING
    txid: int = 0
    event: int = 0


async def lock_sealer() -> bool:
    """Take the sealer's lock until the transaction ends; False where another process has it."""
    return await fetchval("select pg_try_advisory_xact_lock($1)", _LOCK)


async def tip() -> Tip:
    row = await fetchrow(
        """
        select l.number, l.hash, e.txid, e.id
          from audit_link l join audit_event e on e.id = l.event
         where l.number = (select max(number) from audit_link)
        """
    )
    if row is None:
        assert not await fetchval("select exists (select from audit_link)"), (
            "the audit row of the last link is missing"
        )
        return Tip()
    return Tip(number=row["number"], hash=row["hash"], txid=row["txid"], event=row["id"])


async def unlinked_rows(tip: Tip, *, most: int) -> list[tuple[int, str]]:
    """
    Return the id and text of the rows after the tip, in the order of their transactions.

    Rows are left out while their transaction, or an earlier one, may still add rows.
    """
    rows = await fetch(
        f"""
        select e.id, {ROW_TEXT} as text from audit_event e
         where (e.txid, e.id) > ($1, $2)
           and e.txid < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
         order by e.txid, e.id limit $3
        """,
        tip.txid,
        tip.event,
        most,
    )
    return [(row["id"], row["text"]) for row in rows]


async def add(links: Sequence[Link], seal: Seal) -> None:
    await execute(
        """
        insert into audit_link (number, event, prev_hash, hash)
        select * from unnest($1::bigint[], $2::bigint[], $3::bytea[], $4::bytea[])
        """,
        [link.number for link in links],
        [link.event for link in links],
        [link.prev_hash for link in links],
        [link.hash for link in links],
    )
    await execute(
        """
        insert into seal (first, last, head, key_id, signature, sealed_at)
        values ($1, $2, $3, $4, $5, $6)
        """,
        seal.first,
        seal.last,
        seal.head,
        seal.key_id,
        seal.signature,
        seal.sealed_at,
    )


def seal_of(row: Row) -> Seal:
    return Seal(
        first=row["first"],
        last=row["last"],
        head=row["head"],
        key_id=row["key_id"],
        signature=row["signature"],
        sealed_at=row["sealed_at"],
    )
