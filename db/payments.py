"""Payments with their items and latest attempt. `_payment` converts every row."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

import orjson

from db import attempts, orders
from db.engine import Row, execute, fetch, fetchrow, fetchval
from db.errors import RowMissing
from db.keyset import Keyset, in_order
from domain.bills import Item, ItemType
from domain.methods import PaymentMethod
from domain.money import Currency
from domain.pages import PageRange
from domain.payment_search import MAX_COUNTED, PaymentFilter, PaymentOrder, Totals, folded
from domain.payments import Custody, HoldReason, Notify, Payment, PaymentStatus, PostingStatus
from domain.staff import Scope

SELECT = f"""
select p.*, s.name as staff_name, {attempts.COLUMNS}, {orders.COLUMNS},
       (select json_agg(json_build_array(i.type, i.item_id, i.amount) order by i.id)
          from payment_item i where i.payment = p.id)::text as items
  from payment p
  join staff s on s.staff_id = p.staff
  left join merchant_order o on o.id = p.merchant_order
  left join staff m on m.staff_id = o.merchant
  left join lateral (
      select * from attempt where attempt.payment = p.id order by created_at desc limit 1
  ) a on true
"""
"""The statement that reads payments, up to its condition."""


async def add(payment: Payment) -> bool:
    """
    Add a payment and lock its items; False where another payment holds one of them.

    `attempts.add` adds its attempt.
    """
    items = sorted(payment.items)
    rows = await fetch(
        """
        with added as (
            insert into payment (
                id, version, status, method, amount, currency, contract_number, customer_name,
                customer_name_folded, staff, team, business_date, receipt_token, notify, created_at,
                updated_at, expires_at, completed_at, custody, hold_reason, needs_verification,
                late, posting_status, merchant_order, return_url)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                    $19, $20, $21, $22, $23, $24, $25)
            returning id, contract_number)
        insert into payment_item (payment, contract_number, type, item_id, amount, locked)
        select added.id, added.contract_number, item.*, true
          from added, unnest($26::text[], $27::text[], $28::bigint[]) as item
            on conflict do nothing
        returning 1
        """,
        payment.id,
        payment.version,
        payment.status,
        payment.method,
        payment.amount,
        payment.currency,
        payment.contract_number,
        payment.customer_name,
        folded(payment.customer_name),
        payment.staff_id,
        payment.team,
        payment.business_date,
        payment.receipt_token,
        orjson.dumps(asdict(payment.notify)).decode(),
        payment.created_at,
        payment.updated_at,
        payment.expires_at,
        payment.completed_at,
        payment.custody,
        payment.hold_reason,
        payment.needs_verification,
        payment.late,
        payment.posting_status,
        payment.order.id if payment.order else None,
        payment.return_url,
        [item.type for item in items],
        [item.id for item in items],
        [item.amount for item in items],
    )
    return len(rows) == len(items)


async def save(payment: Payment) -> None:
    """Write the fields that may change, of a payment that this transaction has locked."""
    await execute(
        """
        update payment
           set version = $2, status = $3, updated_at = $4, completed_at = $5, custody = $6,
               hold_reason = $7, needs_verification = $8, late = $9, posting_status = $10
         where id = $1
        """,
        payment.id,
        payment.version,
        payment.status,
        payment.updated_at,
        payment.completed_at,
        payment.custody,
        payment.hold_reason,
        payment.needs_verification,
        payment.late,
        payment.posting_status,
    )


async def by_id(payment_id: str) -> Payment | None:
    row = await fetchrow(SELECT + " where p.id = $1", payment_id)
    return None if row is None else _payment(row)


async def get(payment_id: str) -> Payment:
    """Return the payment. Raises RowMissing."""
    if (payment := await by_id(payment_id)) is None:
        raise RowMissing("payment", payment_id)
    return payment


async def by_receipt(token: str) -> Payment | None:
    row = await fetchrow(SELECT + " where p.receipt_token = $1", token)
    return None if row is None else _payment(row)


async def by_ids(payment_ids: Sequence[str]) -> list[Payment]:
    return [_payment(row) for row in await fetch(SELECT + " where p.id = any($1)", payment_ids)]


async def found(payment_ids: Collection[str]) -> dict[str, Payment]:
    """Return the payments of these ids that exist, by id."""
    return {payment.id: payment for payment in await by_ids(list(payment_ids))}


async def lock(payment_id: str) -> Payment | None:
    """
    Lock the payment until the transaction ends, and return it; None where it does not exist.

    The second statement's snapshot sees what the lock waited for.
    """
    if await fetchval("select 1 from payment where id = $1 for update", payment_id) is None:
        return None
    return await by_id(payment_id)


async def locked(payment_id: str) -> Payment:
    """Lock the payment as `lock` does, and return it. Raises RowMissing."""
    if (payment := await lock(payment_id)) is None:
        raise RowMissing("payment", payment_id)
    return payment


async def versions(payment_ids: Sequence[str]) -> dict[str, int]:
    """Return the current version of each payment that exists."""
    rows = await fetch("select id, version from payment where id = any($1)", payment_ids)
    return {row["id"]: row["version"] for row in rows}


async def changed_since(moment: datetime, *, most: int) -> list[Payment]:
    """Return the payments that changed at or after *moment*, oldest change first."""
    rows = await fetch(
        SELECT + " where p.updated_at >= $1 order by p.updated_at limit $2", moment, most
    )
    return [_payment(row) for row in rows]


async def set_posting_status(payment_id: str, status: PostingStatus, now: datetime) -> bool:
    """
    Set the state of Revenue's record of the payment, with a new version.

    Returns False if it is so already, or is DONE, which never changes.
    """
    changed = await fetchval(
        """
        update payment set posting_status = $2, version = version + 1, updated_at = $3
         where id = $1 and posting_status not in ($2, 'DONE')
        returning 1
        """,
        payment_id,
        status,
        now,
    )
    return changed is not None


async def set_posting_statuses(
    payment_ids: Sequence[str], status: PostingStatus, now: datetime
) -> dict[str, int]:
    """
    Do `set_posting_status` for several payments; return the new version of each changed one.

    It leaves out what another transaction has locked: waiting with locks held could deadlock.
    """
    rows = await fetch(
        """
        with free as materialized (
            select id from payment where id = any($1) and posting_status not in ($2, 'DONE')
             order by id for no key update skip locked)
        update payment set posting_status = $2, version = version + 1, updated_at = $3
         where id in (select id from free)
        returning id, version
        """,
        payment_ids,
        status,
        now,
    )
    return {row["id"]: row["version"] for row in rows}


_BY_TIME = ("p.created_at", 'p.id collate "C"')
_BY_AMOUNT = ("p.amount", *_BY_TIME)
_ORDERS = {
    PaymentOrder.CREATED_DESC: Keyset(_BY_TIME),
    PaymentOrder.CREATED_ASC: Keyset(_BY_TIME, descending=False),
    PaymentOrder.AMOUNT_DESC: Keyset(_BY_AMOUNT),
    PaymentOrder.AMOUNT_ASC: Keyset(_BY_AMOUNT, descending=False),
}


def key(payment: Payment, order: PaymentOrder) -> tuple[object, ...]:
    """Return the key that pages are sorted by in *order*; it is unique."""
    time = (payment.created_at, payment.id)
    by_amount = order in {PaymentOrder.AMOUNT_ASC, PaymentOrder.AMOUNT_DESC}
    return (payment.amount, *time) if by_amount else time


async def page(
    scope: Scope, filter: PaymentFilter, page: PageRange, *, order: PaymentOrder
) -> list[Payment]:
    """Return a page of the payments that match, in *order*."""
    keyset = _ORDERS[order]
    where, args = _conditions(scope, filter)
    where += keyset.conditions(page, args)
    sql = f"{SELECT} where {' and '.join(where)} {keyset.order(page, args)}"
    return [_payment(row) for row in in_order(await fetch(sql, *args), page)]


async def totals(scope: Scope, filter: PaymentFilter) -> Totals:
    """Count the payments that match; the cost is bounded, whatever the table's size."""
    where, args = _conditions(scope, filter)
    args.append(MAX_COUNTED + 1)
    row = await fetchrow(
        f"""
        select count(*) as count, coalesce(sum(amount), 0)::bigint as amount
          from (select p.amount from payment p where {" and ".join(where)} limit ${len(args)}) match
        """,
        *args,
    )
    assert row is not None
    if row["count"] > MAX_COUNTED:
        return Totals(count=MAX_COUNTED, amount=None)
    return Totals(count=row["count"], amount=row["amount"])


# Each part has an index, and `array` is computed first, so that the plan can combine the indexes.
_SEARCH = """(p.id = any({0}) or p.contract_number = any({0}) or p.customer_name_folded like {1}
     or p.id = any(array(
            select payment from attempt where reference = any({0}) or gateway_id = any({0}))))"""
_WILDCARD = re.compile(r"[\\%_]")


def _containing(text: str) -> str:
    """Return the LIKE pattern of texts that contain *text*."""
    return "%" + _WILDCARD.sub(r"\\\g<0>", text) + "%"


def _conditions(scope: Scope, filter: PaymentFilter) -> tuple[list[str], list[object]]:
    """Return the SQL conditions of the given parts of *filter*, and their arguments."""
    where, args = ["true"], list[object]()

    def add(condition: str, value: object) -> None:
        if value is not None:
            args.append(value)
            where.append(condition.format(f"${len(args)}"))

    add("p.staff = {}", scope.staff_id)
    add("p.team = {}", scope.team)
    add("p.status = any({})", filter.status)
    add("p.method = any({})", filter.method)
    add("p.custody = any({})", filter.custody)
    add("p.staff = {}", filter.staff_id)
    add("p.contract_number = {}", filter.contract_number)
    add("p.merchant_order = {}", filter.order_id)
    add(
        "p.id in (select payment from attempt where reference = {0} or gateway_id = {0})",
        filter.gateway_reference,
    )
    add("p.created_at >= {}", filter.created_from)
    add("p.created_at < {}", filter.created_to)
    add("p.amount >= {}", filter.min_amount)
    add("p.amount <= {}", filter.max_amount)
    add("p.needs_verification = {}", filter.needs_verification)
    if filter.search is not None:
        args += (filter.searched_ids, _containing(folded(filter.search)))
        where.append(_SEARCH.format(f"${len(args) - 1}", f"${len(args)}"))
    return where, args


def _payment(row: Row) -> Payment:
    return Payment(
        id=row["id"],
        version=row["version"],
        status=PaymentStatus(row["status"]),
        method=PaymentMethod(row["method"]),
        amount=row["amount"],
        currency=Currency(row["currency"]),
        contract_number=row["contract_number"],
        customer_name=row["customer_name"],
        items=tuple(
            Item(type=ItemType(type_), id=id_, amount=amount)
            for type_, id_, amount in orjson.loads(row["items"] or "[]")
        ),
        staff_id=row["staff"],
        staff_name=row["staff_name"],
        team=row["team"],
        business_date=row["business_date"],
        receipt_token=row["receipt_token"],
        notify=Notify(**orjson.loads(row["notify"])),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        expires_at=row["expires_at"],
        completed_at=row["completed_at"],
        custody=Custody(row["custody"]) if row["custody"] else None,
        hold_reason=HoldReason(row["hold_reason"]) if row["hold_reason"] else None,
        needs_verification=row["needs_verification"],
        late=row["late"],
        posting_status=PostingStatus(row["posting_status"]),
        attempt=attempts.from_row(row),
        order=orders.from_row(row),
        return_url=row["return_url"],
    )
