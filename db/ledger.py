"""The ledger: entries are added, never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.engine import execute
from domain.ledger import Posting


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
