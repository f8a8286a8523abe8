"""Cases with their votes, and with what the ledger has of the payment that each is about."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from db.case_rows import SELECT, case_of_row
from db.engine import execute, fetch, fetchrow, fetchval
from db.errors import RowMissing
from db.keyset import Keyset, in_order
from domain.cases import (
    SETTLED_BY_A_SUM,
    Approval,
    Case,
    CaseKind,
    CaseStatus,
)
from domain.pages import PageRange
from domain.staff import Scope


async def add(case: Case) -> None:
    """Add a case, with the votes that it begins with."""
    await execute(
        """
        insert into money_case (id, kind, status, amount, payment, gateway, opened_at, reversal,
                                hand_in, about, decision, unreadable)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        case.id,
        case.kind,
        case.status,
        case.amount,
        case.payment_id,
        case.gateway,
        case.opened_at,
        case.reversal_id,
        case.hand_in_id,
        case.about,
        case.decision,
        case.unreadable,
    )
    for approval in case.approvals:
        await add_approval(case.id, approval)


async def add_approval(case_id: str, approval: Approval) -> None:
    """Add one person's vote to the case."""
    await execute(
        """
        insert into case_approval (money_case, actor, decision, reason, at, amount)
        values ($1, $2, $3, $4, $5, $6)
        """,
        case_id,
        approval.actor,
        approval.decision,
        approval.reason,
        approval.at,
        approval.amount,
    )


async def exists_about(payment_id: str, about: str) -> bool:
    """Return whether the payment has, or had, a case with exactly this `about`."""
    sql = "select exists (select from money_case where payment = $1 and about = $2)"
    return await fetchval(sql, payment_id, about)


async def has_open_case(payment_id: str, kind: CaseKind) -> bool:
    """Return whether a case of this kind about the payment is open."""
    return await fetchval(
        """
        select exists (
            select from money_case
             where payment = $1 and kind = $2 and status <> 'RESOLVED')
        """,
        payment_id,
        kind,
    )


# Whether a case's unreadable amount has the gateway's number $2: certainly, and as far as is known.
_UNDER = "about = $2::text || ' · ' || unreadable"
_PERHAPS_UNDER = f"($2::text is null or about = unreadable or {_UNDER})"


# Whether an open case of the same kind is about the same money: sum $4, about $5.
_IS_SAME_MONEY = {
    CaseKind.PAID_TWICE: "amount is null and (unreadable is not null or about = $5::text)",
    CaseKind.AMOUNT_MISMATCH: "unreadable is not null",
    CaseKind.LATE_MONEY: "(amount is null or $4::bigint is null)",
    CaseKind.SUSPICIOUS: "(amount is null or $4::bigint is null or amount = $4::bigint)",
}


async def join_open_case(case: Case, *, number: str | None) -> str | None:
    """
    Merge *case* into an open case about the same money; return that case's id, or None without one.

    A repeated or a later proven claim opens no second case. *number* is the gateway's number of the
    money. The caller has locked the payment.
    """
    return await fetchval(
        f"""
        update money_case
           set amount = coalesce(amount, $4::bigint), unreadable = coalesce($6::text, unreadable),
               about = case when unreadable is not null and $6::text is null then about
                            else coalesce($5::text, about) end
         where id = (select id from money_case
                      where payment = $1 and status <> 'RESOLVED'
                        and (unreadable is not null and $6::text is not null and {_UNDER}
                             or kind = $3 and (unreadable is null or {_PERHAPS_UNDER})
                                and {_IS_SAME_MONEY.get(case.kind, "false")})
                      order by opened_at limit 1)
        returning id
        """,
        case.payment_id,
        number,
        case.kind,
        case.amount,
        case.about,
        case.unreadable,
    )


async def open_unreadable(payment_id: str, number: str | None, now: datetime) -> Case | None:
    """Return an open case about an unreadable amount, preferably one with *number*."""
    row = await fetchrow(
        f"""{SELECT}
         where c.payment = $1 and c.status <> 'RESOLVED' and c.unreadable is not null
           and c.kind = any($3)
         order by {_PERHAPS_UNDER} desc, about = unreadable, c.opened_at limit 1
        """,
        payment_id,
        number,
        list(SETTLED_BY_A_SUM),
    )
    return None if row is None else case_of_row(row, now)


async def note_amount(
    payment_id: str, number: str | None, *, amount: int | None, case_id: str | None
) -> None:
    """
    Note that the unreadable amount with *number* is known now: *amount*, or None if not in VND.

    *case_id* is the case that was opened for it or merged with it. A case that waited for the
    amount stays open until two people close it.
    """
    await execute(
        f"""
        update money_case set amount = coalesce(amount, $3::bigint), unreadable = null
         where id = (select id from money_case
                      where payment = $1 and status <> 'RESOLVED' and unreadable is not null
                        and case when $4::text is null then {_PERHAPS_UNDER}
                                 else id = $4 or {_UNDER} end
                      order by about = unreadable, opened_at limit 1)
        """,
        payment_id,
        number,
        amount,
        case_id,
    )


async def by_id(case_id: str, now: datetime) -> Case | None:
    row = await fetchrow(SELECT + " where c.id = $1", case_id)
    return None if row is None else case_of_row(row, now)


async def get(case_id: str, now: datetime) -> Case:
    """Return the case. Raises RowMissing."""
    if (case := await by_id(case_id, now)) is None:
        raise RowMissing("money_case", case_id)
    return case


async def lock(case_id: str, now: datetime) -> Case | None:
    """
    Lock the case until the transaction ends, and return it; None where it does not exist.

    The caller has locked its payment. The second statement's snapshot sees what the lock waited
    for.
    """
    if await fetchval("select 1 from money_case where id = $1 for update", case_id) is None:
        return None
    return await by_id(case_id, now)


async def locked(case_id: str, now: datetime) -> Case:
    """Lock the case as `lock` does, and return it. Raises RowMissing."""
    if (case := await lock(case_id, now)) is None:
        raise RowMissing("money_case", case_id)
    return case


async def save(case: Case) -> None:
    """Write the case's status and decision; `add_approval` adds the votes."""
    await execute(
        "update money_case set status = $2, decision = $3, resolved_at = $4 where id = $1",
        case.id,
        case.status,
        case.decision,
        case.resolved_at,
    )


def key(case: Case) -> tuple[datetime, str]:
    """Return the key that pages are sorted by; it is unique."""
    return case.opened_at, case.id


_KEYSET = Keyset(("c.opened_at", 'c.id collate "C"'))


async def page(
    scope: Scope, status: CaseStatus | None, page: PageRange, *, now: datetime
) -> list[Case]:
    """Return a page of the cases, newest first."""
    args: list[object] = [status, scope.team]
    where = [
        "($1::text is null or c.status = $1)",
        "($2::text is null or coalesce(p.team, h.team) = $2)",
    ]
    if status is not None and status is not CaseStatus.RESOLVED:
        # Written as a literal, so that the planner uses the partial index of open cases.
        where.append("c.status <> 'RESOLVED'")
    where += _KEYSET.conditions(page, args)
    rows = await fetch(f"{SELECT} where {' and '.join(where)} {_KEYSET.order(page, args)}", *args)
    return [case_of_row(row, now) for row in in_order(rows, page)]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCount:
    """How many cases of a kind are open, and since when the oldest is."""

    kind: CaseKind
    count: int
    oldest_at: datetime


async def open_counts() -> list[OpenCount]:
    rows = await fetch(
        "select kind, count(*) as count, min(opened_at) as since from money_case"
        " where status <> 'RESOLVED' group by kind"
    )
    return [
        OpenCount(kind=CaseKind(row["kind"]), count=row["count"], oldest_at=row["since"])
        for row in rows
    ]
