"""The close of a member of staff's day: what they took, handed in and still hold."""

from __future__ import annotations

from datetime import date, datetime

from db.engine import fetch, fetchval
from domain.day_close import DayClose, takings
from domain.methods import PaymentMethod
from domain.payments import Custody


async def of_staff(staff_id: str, day: date, *, begins: datetime, ends: datetime) -> DayClose:
    """Return the close of *day*, which lasts from *begins* until before *ends*."""
    rows = await fetch(
        """
        select method, custody is not distinct from $4 as voided, count(*) as count,
               sum(amount)::bigint as amount
          from payment
         where staff = $1 and created_at >= $2 and created_at < $3 and status = 'SUCCESS'
         group by 1, 2
        """,
        staff_id,
        begins,
        ends,
        Custody.VOIDED,
    )
    handed_in = await fetchval(
        "select coalesce(sum(coalesce(counted, declared)), 0)::bigint from hand_in"
        " where staff = $1 and business_date = $2",
        staff_id,
        day,
    )
    in_hand = await fetchval(
        """
        select coalesce(sum(case when p.debit = 'staff_cash' then p.amount
                                 else -p.amount end), 0)::bigint
          from posting p join entry e on e.id = p.entry
         where p.staff = $1 and (p.debit = 'staff_cash' or p.credit = 'staff_cash')
           and e.created_at < $2
        """,
        staff_id,
        ends,
    )
    return DayClose(
        voided=sum(row["amount"] for row in rows if row["voided"]),
        handed_in=handed_in,
        cash_in_hand=in_hand,
        by_method=takings(
            {
                PaymentMethod(row["method"]): (row["count"], row["amount"])
                for row in rows
                if not row["voided"]
            }
        ),
    )
