"""The ledger: entries are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.engine import execute
from domain.ledger import Posting


async def post(payment_id: str, event: str, postings: Sequence[Posting], now: datetime) -> None:
    """Add one entry with its postings; without postings, nothing."""
    if not postings:
        return
    await execute(
        """
        with added as (
            insert into entry (payment, event, created_at) values ($1, $2, $3) returning id)
        insert into posting (entry, debit, credit, amount, currency, staff)
        select added.id, posting.*
          from added, unnest($4::text[], $5::text[], $6::bigint[], $7::text[], $8::text[])
               as posting (debit, credit, amount, currency, staff)
        """,
        payment_id,
        event,
        now,
        [posting.debit for posting in postings],
        [posting.credit for posting in postings],
        [posting.money.amount for posting in postings],
        [posting.money.currency for posting in postings],
        [posting.staff_id for posting in postings],
    )
