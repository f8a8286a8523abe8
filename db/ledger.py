"""The ledger: entries are added, never changed; each is also written to the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from db.engine import Row, execute, fetch
from domain.ledger import AccountBalance, Entry, Line, Posting
from domain.money import Currency


async def post_and_audit(
    event: str,
    postings: Sequence[Posting],
    now: datetime,
    *,
    payment_id: str | None = None,
    reversal_id: str | None = None,
    hand_in_id: str | None = None,
) -> None:
    """
    Add an entry with its postings, and an audit row that lists them; nothing without postings.

    The audit row is written by the same statement, so the sealed chain proves the ledger.
    """
    if not postings:
        return
    await execute(
        """
        with added as (
            insert into entry (event, created_at, payment, reversal, hand_in)
            values ($1::text, $2, $3::text, $4::text, $5::text) returning id),
        posted as (
            insert into posting (entry, debit, credit, amount, currency, staff)
            select added.id, posting.*
              from added, unnest($6::text[], $7::text[], $8::bigint[], $9::text[], $10::text[])
                   as posting (debit, credit, amount, currency, staff)
            returning *)
        insert into audit_event (at, actor, action, outcome, details)
        select $2, 'ledger', 'post', 'DONE', jsonb_build_object(
                   'entry', added.id, 'event', $1::text, 'payment', $3::text,
                   'reversal', $4::text, 'hand_in', $5::text, 'postings', (
                       select jsonb_agg(jsonb_build_array(id, debit, credit, amount, currency,
                                                          staff) order by id) from posted))
          from added
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
    """Return each payment's entries, in the order of posting."""
    rows = await fetch(
        """
        select e.id, e.payment, e.event, e.created_at, p.debit, p.credit, p.amount, p.currency
          from entry e join posting p on p.entry = e.id
         where e.payment = any($1) order by e.id, p.id
        """,
        payment_ids,
    )
    entries: dict[str, list[Entry]] = {}
    for _, group in groupby(rows, key=lambda row: row["id"]):
        postings = list(group)
        entries.setdefault(postings[0]["payment"], []).append(_entry(postings))
    return entries


async def trial_balance(at: datetime) -> tuple[AccountBalance, ...]:
    """
    Return the balance of every account as of *at*, read by one statement, so that it balances.

    All postings are summed from one index; the few after *at* are subtracted.
    """
    rows = await fetch(
        """
        with moved as (
            select debit, credit, currency, sum(amount) as amount from posting group by 1, 2, 3
            union all
            select p.debit, p.credit, p.currency, -sum(p.amount)
              from entry e join posting p on p.entry = e.id
             where e.created_at > $1 group by 1, 2, 3)
        select side.account, moved.currency, sum(side.debit)::bigint as debit,
               sum(side.credit)::bigint as credit
          from moved, lateral (
               values (moved.debit, moved.amount, 0), (moved.credit, 0, moved.amount))
               as side (account, debit, credit)
         group by 1, 2 having sum(side.debit) <> 0 or sum(side.credit) <> 0 order by 1, 2
        """,
        at,
    )
    return tuple(
        AccountBalance(
            account=row["account"],
            currency=Currency(row["currency"]),
            debit=row["debit"],
            credit=row["credit"],
        )
        for row in rows
    )


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
