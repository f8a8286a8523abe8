"""
What must hold when nothing is due any more, asked of the database and of the outer systems.

It imports nothing of ours: each rule is spelt here a second time, as a statement that returns what
breaks it, or as a comparison of two sides that must agree.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any

import asyncpg

# Each returns (payment or null, what is wrong).
RULES = {
    "nothing is left open": """
        select id, status || ' without a hold' from payment
         where status in ('PENDING', 'PROCESSING') and hold_reason is null""",
    "what is held has a case": """
        select id, hold_reason from payment p
         where hold_reason is not null and status = 'PROCESSING'
           and not exists (select from money_case where payment = p.id and status <> 'RESOLVED')""",
    "a success is posted once and whole": """
        select p.id, 'posted ' || coalesce(sum(g.amount), 0) || ' of ' || p.amount || ' in ' || count(g)
          from payment p left join entry e on e.payment = p.id and e.reversal is null
          left join posting g on g.entry = e.id and g.credit = 'customer_receivable'
         where p.status = 'SUCCESS' group by p.id, p.amount
        having coalesce(sum(g.amount), 0) <> p.amount or count(g) <> 1""",
    "only a success clears a bill": """
        select p.id, p.status || ' has postings of a success'
          from payment p join entry e on e.payment = p.id join posting g on g.entry = e.id
         where p.status <> 'SUCCESS' and g.credit = 'customer_receivable'""",
    "suspense has a case": """
        select p.id, 'suspense without a case' from payment p
          join entry e on e.payment = p.id join posting g on g.entry = e.id
         where g.credit = 'suspense' and not exists (select from money_case where payment = p.id)""",
    "a bill is locked while it is live or paid, and only then": """
        select p.id, i.item_id || case when i.locked then ' is' else ' is not' end || ' locked'
          from payment p join payment_item i on i.payment = p.id
          left join lateral (
            select bool_or(kind = 'VOID') or sum(amount) >= p.amount as reversed from reversal
             where payment = p.id and status = 'DONE' and source = 'customer_receivable') r on true
         where i.locked <> (p.status in ('PENDING', 'PROCESSING')
                            or p.status = 'SUCCESS' and not coalesce(r.reversed, false))""",
    "one collection of a bill": """
        select min(payment), item_id || ' is collected twice' from payment_item
         where locked group by contract_number, type, item_id having count(*) > 1""",
    "a limit's reservations are its open payments": """
        select l.staff, l.kind || ' reserves ' || l.reserved || ' for ' || coalesce(sum(p.amount), 0)
          from staff_limit l
          left join payment p on p.staff = l.staff and p.status in ('PENDING', 'PROCESSING')
           and p.method = 'FPT_PAY' and p.business_date = l.business_date
         where l.kind = 'DAILY' group by l.id having l.reserved <> coalesce(sum(p.amount), 0)""",
    "a day's turnover is its successes": """
        select l.staff, l.kind || ' counts ' || l.own_used || ' for ' || coalesce(sum(p.amount), 0)
          from staff_limit l
          left join payment p on p.staff = l.staff and p.status = 'SUCCESS'
           and p.method in ('CASH', 'FPT_PAY') and p.business_date = l.business_date
           and not exists (
             select from reversal r where r.payment = p.id and r.kind = 'VOID' and r.status = 'DONE'
                and (r.completed_at at time zone 'Asia/Ho_Chi_Minh')::date = p.business_date)
         where l.kind = 'DAILY' group by l.id having l.own_used <> coalesce(sum(p.amount), 0)""",
    "cash in hand is the ledger's": """
        select l.staff, l.own_used || ' counted, ' || coalesce(b.amount, 0) || ' in the ledger'
          from staff_limit l
          left join (select staff, sum(case when debit = 'staff_cash' then amount else -amount end) as amount
                       from posting where 'staff_cash' in (debit, credit) group by staff) b
            on b.staff = l.staff
         where l.kind = 'CASH_IN_HAND' and (l.own_used <> coalesce(b.amount, 0) or l.reserved <> 0)""",
    "cash is with somebody": """
        select p.staff, coalesce(sum(p.amount), 0) || ' held, ' || coalesce(b.amount, 0) || ' in the ledger'
          from (select staff, sum(case when debit = 'staff_cash' then amount else -amount end) as amount
                  from posting where 'staff_cash' in (debit, credit) group by staff) b
          left join payment p on p.staff = b.staff and p.custody in ('HELD_BY_STAFF', 'HANDED_IN')
         group by p.staff, b.amount having coalesce(sum(p.amount), 0) <> coalesce(b.amount, 0)""",
    "every success is recorded or in a case": """
        select id, 'posting is ' || posting_status from payment
         where status = 'SUCCESS' and posting_status not in ('DONE', 'FAILED')
           and merchant_order is null""",
    "an order is paid by one payment, and only then": """
        select min(p.id), o.id || ' is ' || o.status || ' by ' || count(p) || ' payments'
          from merchant_order o left join payment p on p.merchant_order = o.id and p.status = 'SUCCESS'
         group by o.id having count(p) <> case when o.status = 'PAID' then 1 else 0 end""",
    "no reversal is left open, or untold": """
        select payment, id || ' is ' || status || ', posting ' || posting_status from reversal
         where status in ('PENDING', 'UNKNOWN') or status = 'DONE' and posting_status = 'PENDING'
        except  -- VNPay says nothing of what never came to it: silence is no answer, so people decide
        select payment, id || ' is ' || status || ', posting ' || posting_status from reversal r
         where status = 'UNKNOWN' and gateway = 'VNPAY'
           and exists (select from money_case where reversal = r.id and status <> 'RESOLVED')""",
    "no job is left": "select null, entrypoint || ' ' || convert_from(payload, 'utf8') from pgqueuer",
    "every call is finished with": """
        select reference, outcome from webhook_event where outcome in ('RECEIVED', 'UNMATCHED')""",
    "a key stands for something": """
        select k.subject_id, k.operation from idempotency_key k
         where not exists (select from payment where id = k.subject_id)
           and not exists (select from reversal where id = k.subject_id)
           and not exists (select from hand_in where id = k.subject_id)
           and not exists (select from merchant_order where id = k.subject_id)""",
    "every move is in the audit trail": """
        select p.id, 'no trace of ' || p.status from payment p
         where not exists (select from audit_event where payment_id = p.id
                              and to_status = p.status and outcome = 'DONE')""",
    "a message is kept once": """
        select payment, count(*) || ' messages' from notification
         group by payment, phone having count(*) > 1""",
}


# True only when nothing is due any more.
LATER = frozenset(
    {
        "nothing is left open",
        "every success is recorded or in a case",
        "no reversal is left open, or untold",
        "no job is left",
        "every call is finished with",
    }
)


def violations(database: str, truth: Any) -> list[str]:
    """Return what is wrong when nothing is due any more, each with the rule's name and the row's."""
    return asyncio.run(_violations(database, truth))


async def _violations(database: str, truth: Any) -> list[str]:
    connection = await asyncpg.connect(database)
    try:
        return await broken(connection, quiet=True) + await _against(connection, truth)
    finally:
        await connection.close()


async def broken(connection: Any, *, quiet: bool) -> list[str]:
    """Return the rules of the database that are broken; without *quiet* those of every moment only."""
    return [
        f"{name}: {row[0]} {row[1]}"
        for name, sql in RULES.items()
        if quiet or name not in LATER
        for row in await connection.fetch(sql)
    ]


async def _against(connection: Any, truth: Any) -> list[str]:
    """Compare with what gateways, Revenue, Debt and the customers' phones believe."""
    payments = {
        row["id"]: row
        for row in await connection.fetch(
            """
            select p.*, s.reversed from payment p left join lateral (
                select bool_or(kind = 'VOID') or sum(amount) >= p.amount as reversed from reversal
                 where payment = p.id and status = 'DONE' and source = 'customer_receivable') s on true
            """
        )
    }
    found = [f"an outer system refused a double: {conflict}" for conflict in truth["conflicts"]]
    found += await _gateways(connection, truth)
    successes = {id for id, row in payments.items() if row["status"] == "SUCCESS"}
    known = {id for id in successes if payments[id]["posting_status"] == "DONE"}
    for name, rows in (("Revenue", truth["records"]), ("Debt", truth["debts"])):
        told = Counter(row["transaction_id"] for row in rows)
        found += [f"{name} has {id}, which is no success" for id in told.keys() - successes]
        found += [f"{name} has {id} {told[id]} times" for id in known if told[id] != 1]
    kept = await connection.fetch("select payment, channel from notification where status = 'SENT'")
    heard = Counter(_payment_of(message, payments) for message in truth["messages"])
    times = {_payment_of(message, payments): message["times"] for message in truth["messages"]}
    for row in kept:
        if heard[row["payment"]] != 1 or times[row["payment"]] != 1:
            found.append(f"{row['payment']} was told {heard[row['payment']]} times")
    found += [f"the customer was told of {id}" for id in heard.keys() - successes]
    wanting = {id for id in successes if '"hifpt":true' in payments[id]["notify"].replace(" ", "")}
    return found + [f"nobody was told of {id}" for id in wanting - heard.keys()]


async def _gateways(connection: Any, truth: Any) -> list[str]:
    """What a gateway took, less what it gave back, is what the ledger says is with it, or in the bank."""
    theirs: dict[str, int] = defaultdict(int)
    for charge in truth["charges"]:
        taken = charge["amount"] if charge["status"] == "paid" else 0
        theirs[charge["reference"]] += taken - charge["refunded"]
    rows = await connection.fetch(
        """
        select a.reference, a.amount as asked, p.amount as whole, p.status || ', ' || a.status as state,
               coalesce(sum(case when g.debit like '%clearing%' or g.debit = 'bank' then g.amount
                                 when g.credit like '%clearing%' or g.credit = 'bank' then -g.amount
                            end), 0) as amount
          from attempt a join payment p on p.id = a.payment
          left join entry e on e.payment = a.payment
          left join posting g on g.entry = e.id and g.currency = 'VND'
         group by a.reference, p.status, p.amount
        """
    )
    ours = {row["reference"]: int(row["amount"]) for row in rows}
    state = {row["reference"]: row["state"] for row in rows}
    for row in rows:  # of what was asked in another currency, as great a part as of what was meant
        if row["reference"] in theirs and row["asked"] != row["whole"]:
            theirs[row["reference"]] = theirs[row["reference"]] * row["whole"] // row["asked"]
    return [
        f"the gateway has {theirs.get(their, 0)} under {their} ({state.get(their, 'unknown here')}),"
        f" the ledger {ours.get(their, 0)}"
        for their in theirs.keys() | ours.keys()
        if theirs.get(their, 0) != ours.get(their, 0) or (their in theirs and their not in ours)
    ]


def _payment_of(message: Any, payments: Any) -> str | None:
    """An SMS names its payment by the link in its text alone."""
    if message["transaction_id"]:
        return message["transaction_id"]
    text = message["message"] or ""
    return next((id for id, row in payments.items() if row["receipt_token"] in text), None)
