"""
The rules that hold when nothing is due, checked in the database and against the outer systems.

It imports nothing of the product. Each rule is written here a second time, as a statement that
returns the violations, or as a comparison of two sides.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from typing import Any

import asyncpg

# Each statement returns (payment or null, what is wrong).
RULES = {
    "nothing is left open": """
        select id, status || ' without a hold' from payment
         where status in ('PENDING', 'PROCESSING') and hold_reason is null""",
    "a held payment has a case": """
        select id, hold_reason from payment p
         where hold_reason is not null and status = 'PROCESSING'
           and not exists (select from money_case where payment = p.id and status <> 'RESOLVED')""",
    "a success is posted once, in full": """
        select p.id,
               'posted ' || coalesce(sum(g.amount), 0) || ' of ' || p.amount || ' in ' || count(g)
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
         where g.credit = 'suspense'
           and not exists (select from money_case where payment = p.id)""",
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
        select l.staff,
               l.kind || ' reserves ' || l.reserved || ' for ' || coalesce(sum(p.amount), 0)
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
          left join (select staff,
                         sum(case when debit = 'staff_cash' then amount else -amount end) as amount
                       from posting where 'staff_cash' in (debit, credit) group by staff) b
            on b.staff = l.staff
         where l.kind = 'CASH_IN_HAND'
           and (l.own_used <> coalesce(b.amount, 0) or l.reserved <> 0)""",
    "the ledger's cash is that of its payments": """
        select p.staff,
               coalesce(sum(p.amount), 0) || ' held, ' || coalesce(b.amount, 0) || ' in the ledger'
          from (select staff,
                       sum(case when debit = 'staff_cash' then amount else -amount end) as amount
                  from posting where 'staff_cash' in (debit, credit) group by staff) b
          left join payment p on p.staff = b.staff and p.custody in ('HELD_BY_STAFF', 'HANDED_IN')
         group by p.staff, b.amount having coalesce(sum(p.amount), 0) <> coalesce(b.amount, 0)""",
    "every success is recorded or in a case": """
        select id, 'posting is ' || posting_status from payment
         where status = 'SUCCESS' and posting_status not in ('DONE', 'FAILED')
           and merchant_order is null""",
    "an order is paid by one payment, and only then": """
        select min(p.id), o.id || ' is ' || o.status || ' by ' || count(p) || ' payments'
          from merchant_order o
          left join payment p on p.merchant_order = o.id and p.status = 'SUCCESS'
         group by o.id having count(p) <> case when o.status = 'PAID' then 1 else 0 end""",
    "no reversal is left open or unrecorded": """
        select payment, id || ' is ' || status || ', posting ' || posting_status from reversal
         where status in ('PENDING', 'UNKNOWN') or status = 'DONE' and posting_status = 'PENDING'
        except  -- VNPay does not answer about a refund that it never received, so a case decides
        select payment, id || ' is ' || status || ', posting ' || posting_status from reversal r
         where status = 'UNKNOWN' and gateway = 'VNPAY'
           and exists (select from money_case where reversal = r.id and status <> 'RESOLVED')""",
    "no job is left": """
        select null, entrypoint || ' ' || convert_from(payload, 'utf8') from pgqueuer""",
    "every webhook event is handled": """
        select reference, outcome from webhook_event where outcome in ('RECEIVED', 'UNMATCHED')""",
    "a key names an existing subject": """
        select k.subject_id, k.operation from idempotency_key k
         where not exists (select from payment where id = k.subject_id)
           and not exists (select from reversal where id = k.subject_id)
           and not exists (select from hand_in where id = k.subject_id)
           and not exists (select from merchant_order where id = k.subject_id)""",
    "every status is in the audit log": """
        select p.id, 'no audit row of ' || p.status from payment p
         where not exists (select from audit_event where payment_id = p.id
                              and to_status = p.status and outcome = 'DONE')""",
    "a message is stored once": """
        select payment, count(*) || ' messages' from notification
         group by payment, phone having count(*) > 1""",
}


# Rules that hold only when no job is due.
ONLY_AT_REST = frozenset(
    {
        "nothing is left open",
        "every success is recorded or in a case",
        "no reversal is left open or unrecorded",
        "no job is left",
        "every webhook event is handled",
    }
)


def violations(database: str, truth: Any) -> list[str]:
    """Return every violation once nothing is due, each with its rule and its row."""
    return asyncio.run(_violations(database, truth))


async def _violations(database: str, truth: Any) -> list[str]:
    connection = await asyncpg.connect(database)
    try:
        return await broken(connection, at_rest=True) + await _compare_outer_systems(
            connection, truth
        )
    finally:
        await connection.close()


async def broken(connection: Any, *, at_rest: bool) -> list[str]:
    """Return the violations in the database; without *at_rest* those of rules that always hold."""
    return [
        f"{name}: {row[0]} {row[1]}"
        for name, sql in RULES.items()
        if at_rest or name not in ONLY_AT_REST
        for row in await connection.fetch(sql)
    ]


async def _compare_outer_systems(connection: Any, truth: Any) -> list[str]:
    """Compare the database with the gateways, Revenue, Debt and the sent messages."""
    payments = {
        row["id"]: row
        for row in await connection.fetch(
            """
            select p.*, s.reversed from payment p left join lateral (
                select bool_or(kind = 'VOID') or sum(amount) >= p.amount as reversed from reversal
                 where payment = p.id and status = 'DONE'
                   and source = 'customer_receivable') s on true
            """
        )
    }
    found = [f"an outer system refused a double: {conflict}" for conflict in truth["conflicts"]]
    found += await _gateways(connection, truth)
    successes = {id for id, row in payments.items() if row["status"] == "SUCCESS"}
    recorded = {id for id in successes if payments[id]["posting_status"] == "DONE"}
    for name, rows in (("Revenue", truth["records"]), ("Debt", truth["debts"])):
        records = Counter(row["transaction_id"] for row in rows)
        found += [f"{name} has {id}, which is no success" for id in records.keys() - successes]
        found += [f"{name} has {id} {records[id]} times" for id in recorded if records[id] != 1]
    sent = await connection.fetch("select payment, channel from notification where status = 'SENT'")
    messages = Counter(_payment_of(message, payments) for message in truth["messages"])
    times = {_payment_of(message, payments): message["times"] for message in truth["messages"]}
    for row in sent:
        if messages[row["payment"]] != 1 or times[row["payment"]] != 1:
            found.append(f"{row['payment']} has {messages[row['payment']]} messages")
    found += [f"a message about {id}, which is no success" for id in messages.keys() - successes]
    expected = {id for id in successes if '"hifpt":true' in payments[id]["notify"].replace(" ", "")}
    return found + [f"no message about {id}" for id in expected - messages.keys()]


async def _gateways(connection: Any, truth: Any) -> list[str]:
    """Compare what each gateway took, less refunds, with the clearing and bank accounts."""
    gateway_amounts: dict[str, int] = defaultdict(int)
    for charge in truth["charges"]:
        taken = charge["amount"] if charge["status"] == "paid" else 0
        gateway_amounts[charge["reference"]] += taken - charge["refunded"]
    rows = await connection.fetch(
        """
        select a.reference, a.amount as requested, p.amount as whole,
               p.status || ', ' || a.status as state,
               coalesce(sum(case when g.debit like '%clearing%' or g.debit = 'bank' then g.amount
                                 when g.credit like '%clearing%' or g.credit = 'bank' then -g.amount
                            end), 0) as amount
          from attempt a join payment p on p.id = a.payment
          left join entry e on e.payment = a.payment
          left join posting g on g.entry = e.id and g.currency = 'VND'
         group by a.reference, p.status, p.amount
        """
    )
    ledger_amounts = {row["reference"]: int(row["amount"]) for row in rows}
    states = {row["reference"]: row["state"] for row in rows}
    for row in rows:  # an amount in another currency counts as its share of the payment
        if row["reference"] in gateway_amounts and row["requested"] != row["whole"]:
            gateway_amounts[row["reference"]] = (
                gateway_amounts[row["reference"]] * row["whole"] // row["requested"]
            )
    return [
        f"the gateway has {gateway_amounts.get(reference, 0)} under {reference}"
        f" ({states.get(reference, 'unknown here')}), the ledger {ledger_amounts.get(reference, 0)}"
        for reference in gateway_amounts.keys() | ledger_amounts.keys()
        if gateway_amounts.get(reference, 0) != ledger_amounts.get(reference, 0)
        or (reference in gateway_amounts and reference not in ledger_amounts)
    ]


def _payment_of(message: Any, payments: Any) -> str | None:
    """Return the payment of a message; an SMS names it by its receipt link alone."""
    if message["transaction_id"]:
        return message["transaction_id"]
    text = message["message"] or ""
    return next((id for id, row in payments.items() if row["receipt_token"] in text), None)
