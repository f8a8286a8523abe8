"""Reversals: voids and refunds, requested, under way and final."""

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
            attempt, gateway, created_at, updated_at, completed_at, inquiries, posting_status,
            share, share_currency)
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
    """Write the fields that may change, of a reversal whose payment this transaction has locked."""
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


async def set_posting_status(reversal_id: str, status: PostingStatus, now: datetime) -> bool:
    """
    Set the state of Revenue's record of the reversal.

    Returns False if it is so already, or is DONE, which never changes.
    """
    changed = await fetchval(
        """
        update reversal set posting_status = $2, updated_at = $3
         where id = $1 and posting_status not in ($2, 'DONE')
        returning 1
        """,
        reversal_id,
        status,
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


async def payment_id_of(reversal_id: str) -> str:
    """Return the id of the payment that the reversal is about. Raises RowMissing."""
    sql = "select payment from reversal where id = $1"
    if (payment_id := await fetchval(sql, reversal_id)) is None:
        raise RowMissing("reversal", reversal_id)
    return payment_id


async def lock(reversal_id: str) -> Reversal | None:
    """
    Lock the reversal until the transaction ends, and return it; None where it does not exist.

    The caller has locked its payment. The second statement's snapshot sees what the lock waited
    for.
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
    """Return the payment's reversals, oldest first."""
    return (await of_payments([payment_id])).get(payment_id, [])


async def of_payments(payment_ids: Sequence[str]) -> dict[str, list[Reversal]]:
    """Return each payment's reversals, oldest first."""
    rows = await fetch(
        "select * from reversal where payment = any($1) order by payment, created_at, id",
        payment_ids,
    )
    reversals: dict[str, list[Reversal]] = {}
    for row in rows:
        reversals.setdefault(row["payment"], []).append(_reversal(row))
    return reversals


async def reversed_sum(payment_id: str, source: Account) -> int:
    """Return the sum of the payment's DONE reversals from the account *source*."""
    return await fetchval(
        """
        select coalesce(sum(amount), 0)::bigint from reversal
         where payment = $1 and source = $2 and status = 'DONE'
        """,
        payment_id,
        source,
    )


async def remaining(payment_id: str, source: Account, currency: Currency) -> int:
    """
    Return how much the payment still has in the account *source*.

    It is the ledger's balance less the reversals that await approval, which are not posted yet.
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
    """Return the sum that was captured for the payment, reversals left out."""
    return await fetchval(
        """
        select coalesce(sum(p.amount), 0)::bigint from entry e join posting p on p.entry = e.id
         where e.payment = $1 and e.reversal is null
           and (p.debit in ('staff_cash', 'wallet_clearing', 'bank')
                or p.debit like 'gateway_clearing:%')
        """,
        payment_id,
    )


async def awaits_earlier_reversal(payment_id: str) -> bool:
    """Return whether `awaiting_earlier_reversal` holds for the payment."""
    return bool(await awaiting_earlier_reversal([payment_id]))


async def awaiting_earlier_reversal(payment_ids: Sequence[str]) -> set[str]:
    """
    Return the payments of a bill whose earlier payment has a reversal unknown to Revenue.

    Only a reversal before this payment's success counts. Two payments that waited for each other's
    reversal would never be recorded.
    """
    rows = await fetch(
        """
        select distinct p.id from payment p
          join payment other on other.contract_number = p.contract_number
                            and other.id <> p.id
          join reversal r on r.payment = other.id and r.posting_status = 'PENDING'
          join payment_item other_item on other_item.payment = other.id
          join payment_item item on item.payment = p.id
               and (item.type, item.item_id) = (other_item.type, other_item.item_id)
         where p.id = any($1)
           and (select max(id) from entry where reversal = r.id) < (
               select max(e.id) from entry e join posting on posting.entry = e.id
                where e.payment = p.id and e.reversal is null
                  and posting.credit = 'customer_receivable')
        """,
        payment_ids,
    )
    return {row["id"] for row in rows}


async def has_open_case(reversal_id: str, kind: CaseKind) -> bool:
    """Return whether a case of *kind* about the reversal is open."""
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
