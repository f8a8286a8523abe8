"""Hand-ins, and the custody of the cash payments in them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db import payments
from db.engine import Row, execute, fetch, fetchrow, fetchval
from db.errors import RowMissing
from db.keyset import Keyset, in_order
from domain.hand_ins import HandIn, HandInStatus
from domain.pages import PageRange
from domain.payments import Custody, Payment
from domain.staff import Scope

_SELECT = "select h.*, s.name as staff_name from hand_in h join staff s on s.staff_id = h.staff"


async def add(hand_in: HandIn) -> None:
    await execute(
        """
        insert into hand_in (id, staff, team, status, expected, declared, note, business_date,
                             submitted_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        hand_in.id,
        hand_in.staff_id,
        hand_in.team,
        hand_in.status,
        hand_in.expected_amount,
        hand_in.declared_amount,
        hand_in.note,
        hand_in.business_date,
        hand_in.submitted_at,
    )


async def confirm(hand_in: HandIn) -> None:
    await execute(
        """
        update hand_in set status = $2, counted = $3, confirmed_at = $4, confirmed_by = $5
         where id = $1
        """,
        hand_in.id,
        hand_in.status,
        hand_in.cashier_amount,
        hand_in.confirmed_at,
        hand_in.confirmed_by,
    )


async def by_id(hand_in_id: str) -> HandIn | None:
    row = await fetchrow(f"{_SELECT} where h.id = $1", hand_in_id)
    return None if row is None else _hand_in(row)


async def get(hand_in_id: str) -> HandIn:
    """Return the hand-in. Raises RowMissing."""
    if (hand_in := await by_id(hand_in_id)) is None:
        raise RowMissing("hand_in", hand_in_id)
    return hand_in


async def lock(hand_in_id: str) -> HandIn | None:
    """Lock the hand-in until the transaction ends, and return it; None where it does not exist."""
    if await fetchval("select 1 from hand_in where id = $1 for update", hand_in_id) is None:
        return None
    return await by_id(hand_in_id)


async def locked(hand_in_id: str) -> HandIn:
    """Lock the hand-in as `lock` does, and return it. Raises RowMissing."""
    if (hand_in := await lock(hand_in_id)) is None:
        raise RowMissing("hand_in", hand_in_id)
    return hand_in


async def lock_held(staff_id: str) -> list[Payment]:
    """
    Lock the cash payments that a member of staff holds, in the order of ids, and return them.

    A payment whose void awaits approval is left out. The second statement's snapshot sees a void
    that the locks waited for.
    """
    held = await fetch(
        "select id from payment where staff = $1 and custody = 'HELD_BY_STAFF'"
        " order by id for update",
        staff_id,
    )
    free = await fetch(
        """
        select id from unnest($1::text[]) as held (id)
         where not exists (select from reversal
                            where payment = held.id and kind = 'VOID'
                              and status = 'AWAITING_APPROVAL')
        """,
        [row["id"] for row in held],
    )
    return await payments.by_ids([row["id"] for row in free])


async def lock_payments(hand_in_id: str) -> list[str]:
    """Lock the hand-in's payments in the order of ids, and return the ids."""
    rows = await fetch(
        "select id from payment where hand_in = $1 order by id for update", hand_in_id
    )
    return [row["id"] for row in rows]


async def move(
    payment_ids: Sequence[str], custody: Custody, hand_in_id: str, now: datetime
) -> list[Payment]:
    """Change the custody of payments that this transaction has locked, with a new version each."""
    await execute(
        """
        update payment set custody = $2, hand_in = $3, version = version + 1, updated_at = $4
         where id = any($1)
        """,
        payment_ids,
        custody,
        hand_in_id,
        now,
    )
    return await payments.by_ids(payment_ids)


def key(hand_in: HandIn) -> tuple[datetime, str]:
    """Return the key that pages are sorted by; it is unique."""
    return hand_in.submitted_at, hand_in.id


_KEYSET = Keyset(("h.submitted_at", 'h.id collate "C"'))


async def page(
    scope: Scope, page: PageRange, *, status: HandInStatus | None, staff_id: str | None
) -> list[HandIn]:
    """Return a page of the hand-ins, newest first."""
    args: list[object] = [scope.staff_id, scope.team, status, staff_id]
    where = [
        "($1::text is null or h.staff = $1)",
        "($2::text is null or h.team = $2)",
        "($3::text is null or h.status = $3)",
        "($4::text is null or h.staff = $4)",
        *_KEYSET.conditions(page, args),
    ]
    rows = await fetch(f"{_SELECT} where {' and '.join(where)} {_KEYSET.order(page, args)}", *args)
    return [_hand_in(row) for row in in_order(rows, page)]


def _hand_in(row: Row) -> HandIn:
    return HandIn(
        id=row["id"],
        staff_id=row["staff"],
        staff_name=row["staff_name"],
        team=row["team"],
        status=HandInStatus(row["status"]),
        expected_amount=row["expected"],
        declared_amount=row["declared"],
        note=row["note"],
        business_date=row["business_date"],
        submitted_at=row["submitted_at"],
        cashier_amount=row["counted"],
        confirmed_at=row["confirmed_at"],
        confirmed_by=row["confirmed_by"],
    )
