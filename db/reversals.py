"""Reversals: what was given back of a payment, is being given back, or is to be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.engine import Row, execute, fetch, fetchrow, fetchval
from db.errors import RowMissing
from domain.attempts import Failure
from domain.cases import CaseKind
from domain.ledger import Account
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payments import PostingStatus
from domain.reversals import Reversal, ReversalKind, ReversalStatus


async def add(reversal: Reversal) -> None:
    await execute(
        """
        insert into reversal (
            id, payment, kind, status, amount, currency, source, reason, requested_by, approved_by,
            attempt, gateway, created_at, updated_at, completed_at, inquiries, posting_status, share, share_currency)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 0, $16, $17, $18)
        """,
        reversal.id,
        reversal.payment_id,
        reversal.kind,
        reversal.status,
        reversal.amount,
        reversal.currency,
        reversal.source,
        reversal.reason,
        reversal.requested_by,
        reversal.approved_by,
        reversal.reference,
        reversal.gateway,
        reversal.created_at,
        reversal.updated_at,
        reversal.completed_at,
        reversal.posting_status,
        reversal.share.amount if reversal.share else None,
        reversal.share.currency if reversal.share else None,
    )


async def save(reversal: Reversal) -> None:
    """Write what may change of a reversal whose payment this transaction has locked."""
    await execute(
        """
        update reversal
           set status = $2, approved_by = $3, gateway_id = $4, failure_code = $5,
               failure_message = $6, updated_at = $7, sent_at = $8, completed_at = $9,
               inquiries = $10, inquired_at = $11, posting_status = $12
         where id = $1
        """,
        reversal.id,
        reversal.status,
        reversal.approved_by,
        reversal.gateway_id,
        reversal.failure.code if reversal.failure else None,
        reversal.failure.message if reversal.failure else None,
        reversal.updated_at,
        reversal.sent_at,
        reversal.completed_at,
        reversal.inquiries,
        reversal.inquired_at,
        reversal.posting_status,
    )


async def note_told(reversal_id: str, told: PostingStatus, now: datetime) -> bool:
    """Note how far Revenue knows of it; False when that was known. Never back from DONE."""
    changed = await fetchval(
        """
        update reversal set posting_status = $2, updated_at = $3
         where id = $1 and posting_status not in ($2, 'DONE')
        returning 1
        """,
        reversal_id,
        told,
        now,
    )
    return changed is not None


async def by_id(reversal_id: str) -> Reversal | None:
    row = await fetchrow("select * from reversal where id = $1", reversal_id)
    return None if row is None else _reversal(row)


async def get(reversal_id: str) -> Reversal:
    """Return the reversal. Raises RowMissing."""
    if (reversal := await by_id(reversal_id)) is None:
        raise RowMissing("reversal", reversal_id)
    return reversal


async def payment_of(reversal_id: str) -> str | None:
    return await fetchval("select payment from reversal where id = $1", reversal_id)


async def payment_id_of(reversal_id: str) -> str:
    """Return the id of the payment that the reversal is about. Raises RowMissing."""
    if (payment_id := await payment_of(reversal_id)) is None:
        raise RowMissing("reversal", reversal_id)
    return payment_id


async def lock(reversal_id: str) -> Reversal | None:
    """
    Return the reversal, held until the transaction ends; its payment is locked before it, always.

    Two statements: what the lock waited for is only visible to a snapshot taken after it.
    """
    if await fetchval("select 1 from reversal where id = $1 for update", reversal_id) is None:
        return None
    return await by_id(reversal_id)


async def locked(reversal_id: str) -> Reversal:
    """Lock the reversal as `lock` does, and return it. Raises RowMissing."""
    if (reversal := await lock(reversal_id)) is None:
        raise RowMissing("reversal", reversal_id)
    return reversal


async def of_payment(payment_id: str) -> list[Reversal]:
    """Return the payment's reversals, the oldest first."""
    return (await of_payments([payment_id])).get(payment_id, [])


async def of_payments(payment_ids: Sequence[str]) -> dict[str, list[Reversal]]:
    rows = await fetch(
        "select * from reversal where payment = any($1) order by payment, created_at, id",
        payment_ids,
    )
    found: dict[str, list[Reversal]] = {}
    for row in rows:
        found.setdefault(row["payment"], []).append(_reversal(row))
    return found


async def taken(payment_id: str, source: Account) -> int:
    """Return what the payment's reversals take of *source*, the failed ones aside."""
    return await fetchval(
        """
        select coalesce(sum(amount), 0)::bigint from reversal
         where payment = $1 and source = $2 and status <> 'FAILED'
        """,
        payment_id,
        source,
    )


async def given_back(payment_id: str, source: Account) -> int:
    """Return what reversals of the payment that are DONE took of *source*."""
    return await fetchval(
        """
        select coalesce(sum(amount), 0)::bigint from reversal
         where payment = $1 and source = $2 and status = 'DONE'
        """,
        payment_id,
        source,
    )


async def left(payment_id: str, source: Account, currency: Currency) -> int:
    """
    Return what can still be taken of *source* on the payment's behalf.

    It is what the ledger has there, whoever moved it, without what awaits approval and is not posted.
    """
    return await fetchval(
        """
        select ((select coalesce(sum(case when p.credit = $2 then p.amount else -p.amount end), 0)
                   from entry e join posting p on p.entry = e.id
                  where e.payment = $1 and p.currency = $3 and $2 in (p.credit, p.debit))
              - (select coalesce(sum(amount), 0) from reversal
                  where payment = $1 and source = $2 and status = 'AWAITING_APPROVAL'))::bigint
        """,
        payment_id,
        source,
        currency,
    )


async def captured(payment_id: str) -> int:
    """Return what arrived by the payment's way in, before anything was given back."""
    return await fetchval(
        """
        select coalesce(sum(p.amount), 0)::bigint from entry e join posting p on p.entry = e.id
         where e.payment = $1 and e.reversal is null
           and (p.debit in ('staff_cash', 'wallet_clearing', 'bank')
                or p.debit like 'gateway_clearing:%')
        """,
        payment_id,
    )


async def untold_before(payment_id: str) -> bool:
    """
    Tell whether Revenue still holds a bill of this payment as paid by another, which is reversed.

    Only what was reversed before this payment succeeded counts: were each of two to wait for the
    other's reversal, neither would ever be recorded.
    """
    return await fetchval(
        """
        select exists (
            select from payment mine
              join payment other on other.contract_number = mine.contract_number
                                and other.id <> mine.id
              join reversal r on r.payment = other.id and r.posting_status = 'PENDING'
              join payment_item theirs on theirs.payment = other.id
              join payment_item ours on ours.payment = mine.id
                                    and (ours.type, ours.item_id) = (theirs.type, theirs.item_id)
             where mine.id = $1
               and (select max(id) from entry where reversal = r.id) < (
                   select max(e.id) from entry e join posting p on p.entry = e.id
                    where e.payment = mine.id and e.reversal is null
                      and p.credit = 'customer_receivable'))
        """,
        payment_id,
    )


async def awaits_people(reversal_id: str, kind: CaseKind) -> bool:
    """Tell whether an open case about the reversal is before people."""
    return await fetchval(
        """
        select exists (
            select from money_case where reversal = $1 and kind = $2 and status <> 'RESOLVED')
        """,
        reversal_id,
        kind,
    )


def _reversal(row: Row) -> Reversal:
    return Reversal(
        id=row["id"],
        payment_id=row["payment"],
        kind=ReversalKind(row["kind"]),
        status=ReversalStatus(row["status"]),
        amount=row["amount"],
        currency=Currency(row["currency"]),
        source=Account(row["source"]),
        reason=row["reason"],
        requested_by=row["requested_by"],
        approved_by=row["approved_by"],
        reference=row["attempt"],
        gateway=GatewayName(row["gateway"]) if row["gateway"] else None,
        gateway_id=row["gateway_id"],
        failure=(
            Failure(code=row["failure_code"], message=row["failure_message"])
            if row["failure_code"]
            else None
        ),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        sent_at=row["sent_at"],
        completed_at=row["completed_at"],
        inquiries=row["inquiries"],
        inquired_at=row["inquired_at"],
        posting_status=PostingStatus(row["posting_status"]),
        share=Money(row["share"], Currency(row["share_currency"])) if row["share"] else None,
    )
