"""The ledger: entries are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from db.engine import Row, execute, fetch
from domain.ledger import Entry, Line, Posting
from domain.money import Currency


async def post(
    event: str,
    postings: Sequence[Posting],
    now: datetime,
    *,
    payment_id: str | None = None,
    reversal_id: str | None = None,
    hand_in_id: str | None = None,
) -> None:
    """Add one entry, about what the ids name, with its postings; without postings, nothing."""
    if not postings:
        return
    await execute(
        """
        with added as (
            insert into entry (event, created_at, payment, reversal, hand_in)
            values ($1, $2, $3, $4, $5) returning id)
        insert into posting (entry, debit, credit, amount, currency, staff)
        select added.id, posting.*
          from added, unnest($6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[])
               as posting (debit, credit, amount, currency, staff)
        """,
        event,
        now,
        payment_id,
        reversal_id,
        hand_in_id,
        [posting.debit for posting in postings],
        [posting.credit for posting in postings],
        [posting.money.amount for posting in postings],
        [posting.money.currency for posting in postings],
        [posting.staff_id for posting in postings],
    )


async def of_payments(payment_ids: Sequence[str]) -> dict[str, list[Entry]]:
    """Return the entries of each payment, in the order in which they were posted."""
    rows = await fetch(
        """
        select e.id, e.payment, e.event, e.created_at, p.debit, p.credit, p.amount, p.currency
          from entry e join posting p on p.entry = e.id
         where e.payment = any($1) order by e.id, p.id
        """,
        payment_ids,
    )
    found: dict[str, list[Entry]] = {}
    for _, group in groupby(rows, key=lambda row: row["id"]):
        postings = list(group)
        found.setdefault(postings[0]["payment"], []).append(_entry(postings))
    return found


def _entry(postings: Sequence[Row]) -> Entry:
    first = postings[0]
    lines: list[Line] = []
    for row in postings:
        amount, currency = row["amount"], Currency(row["currency"])
        lines += [
            Line(account=row["debit"], debit=amount, credit=None, currency=currency),
            Line(account=row["credit"], debit=None, credit=amount, currency=currency),
        ]
    return Entry(
        id=str(first["id"]),
        event=first["event"],
        created_at=first["created_at"],
        postings=tuple(lines),
    )
