"""
The invariants of payments and their money: each query returns the rows that violate one.

A query returns (table, row, why). `{payments}` and `{entries}` are all rows or those that changed
lately; `checks.py` fills in the placeholders.
"""

from __future__ import annotations

from domain.invariants import InvariantName

LEDGER_BALANCED = """
select 'posting' as table, t.id::text as row, format('entry %s is gone', t.entry) as why
  from posting t left join entry e on e.id = t.entry
 where e.id is null
union all
select 'posting', id::text, format('moves %s from %s to %s', amount, credit, debit)
  from posting where amount <= 0 or debit = credit
union all
select 'entry', e.id::text, 'has no posting'
  from {entries} e where not exists (select from posting t where t.entry = e.id)
union all
select 'entry', e.id::text, 'names no payment, reversal or hand-in'
  from {entries} e where coalesce(e.payment, e.reversal, e.hand_in) is null
union all
select 'posting', min(t.id)::text,
       format('payment %s: more leaves %s than it brought there', p.id, side.account)
  from {payments} p join entry e on e.payment = p.id join posting t on t.entry = e.id
 cross join lateral (values (t.credit, t.amount), (t.debit, -t.amount)) side (account, amount)
 where side.account in ('customer_receivable', 'customer_credit', 'suspense', 'refunds_payable')
 group by p.id, side.account, t.currency having sum(side.amount) < 0
"""

SUCCESS_IS_POSTED = """
select 'payment' as table, p.id as row,
       format('%s of %s, and %s is posted', p.status, p.amount, coalesce(sum(t.amount), 0)) as why
  from {payments} p
  left join (entry e join posting t on t.entry = e.id and t.credit = 'customer_receivable')
       on e.payment = p.id and e.reversal is null
 group by p.id, p.status, p.amount
having coalesce(sum(t.amount), 0) <> case when p.status = 'SUCCESS' then p.amount else 0 end
"""

# Money in suspense needs open cases of kinds that are about money, for at least its amount.
SUSPENSE_HAS_A_CASE = """
select 'payment' as table, held.id as row,
       format('%s %s of it is in suspense, and open cases are about %s',
              held.balance, held.currency, waiting.amount) as why
  from (select p.id, t.currency,
               sum(case when t.credit = 'suspense' then t.amount else -t.amount end) as balance
          from {payments} p join entry e on e.payment = p.id join posting t on t.entry = e.id
         where 'suspense' in (t.debit, t.credit)
         group by p.id, t.currency) held
 cross join lateral (
       select coalesce(sum(c.amount), 0) as amount,
              bool_or(c.amount is null and c.unreadable is null
                      or c.kind in ('SUSPICIOUS', 'UNKNOWN_OUTCOME')) as any_amount
         from money_case c
        where c.payment = held.id and c.status <> 'RESOLVED' and c.reversal is null
          and c.kind in ('AMOUNT_MISMATCH', 'CURRENCY_MISMATCH', 'LATE_MONEY', 'PAID_TWICE',
                         'SUSPICIOUS', 'UNKNOWN_OUTCOME')) waiting
 where held.balance <> 0 and waiting.any_amount is not true
   and (held.currency <> 'VND' or waiting.amount < held.balance)
union all
select 'payment', p.id,
       format('it is %s and held for %s, and no case is open', p.status, hold_reason)
  from {payments} p
 where p.hold_reason is not null
   and (p.status <> 'PROCESSING' or not exists (
       select from money_case c
        where c.payment = p.id and c.status <> 'RESOLVED' and c.reversal is null
          and c.kind in ('AMOUNT_MISMATCH', 'CURRENCY_MISMATCH', 'SUSPICIOUS', 'UNKNOWN_OUTCOME')))
"""

ONE_COLLECTION = """
select 'payment_item' as table, i.id::text as row,
       format('%s %s of %s is collected by %s and by %s',
              i.type, i.item_id, i.contract_number, i.payment, o.payment) as why
  from {payments} p
  join payment_item i on i.payment = p.id
  join payment_item o on (o.contract_number, o.type, o.item_id)
                       = (i.contract_number, i.type, i.item_id)
 where i.locked and o.locked and o.id <> i.id
union all
select 'payment', p.id, format('order %s is collected by %s too', p.merchant_order, o.id)
  from {payments} p
  join payment o on o.merchant_order = p.merchant_order and o.id <> p.id
 where p.status in ('PENDING', 'PROCESSING', 'SUCCESS')
   and o.status in ('PENDING', 'PROCESSING', 'SUCCESS')
"""

LOCKS = """
select 'payment_item' as table, i.id::text as row,
       format('it is %s, and %s is %s%s', case when i.locked then 'locked' else 'free' end, p.id,
              p.status, case when reversed.payment is null then '' else ', reversed' end) as why
  from {payments} p
  join payment_item i on i.payment = p.id
  left join (
       select r.payment from reversal r join payment p on p.id = r.payment
        where r.status = 'DONE' and r.source = 'customer_receivable'
        group by r.payment, p.amount
       having sum(r.amount) >= p.amount) reversed on reversed.payment = p.id
 where i.locked <> (p.status in ('PENDING', 'PROCESSING')
                    or p.status = 'SUCCESS' and reversed.payment is null)
union all
select 'merchant_order', o.id, format('it is %s, and no payment of it succeeded', o.status)
  from merchant_order o
 where o.status = 'PAID'
   and not exists (select from payment p where p.merchant_order = o.id and p.status = 'SUCCESS')
union all
select 'merchant_order', o.id, format('it is %s, and %s succeeded', o.status, p.id)
  from {payments} p join merchant_order o on o.id = p.merchant_order
 where p.status = 'SUCCESS' and o.status <> 'PAID'
"""

LIMITS = """
select 'staff_limit' as table, coalesce(l.id::text, staff || ' ' || business_date) as row,
       format('%s of %s on %s: reserved %s, used %s, and payments make %s and %s', kind, staff,
              business_date, l.reserved, l.own_used,
              coalesce(counted.reserved, 0), coalesce(counted.own_used, 0)) as why
  from (select p.staff, p.business_date, 'DAILY' as kind,
               sum(p.amount) filter (where p.status in ('PENDING', 'PROCESSING')) as reserved,
               sum(p.amount) filter (where p.status = 'SUCCESS' and v.id is null) as own_used
          from payment p
          left join reversal v on v.payment = p.id and v.kind = 'VOID' and v.status = 'DONE'
               and (v.completed_at at time zone 'Asia/Ho_Chi_Minh')::date = p.business_date
         where p.method in ('CASH', 'FPT_PAY') {lately}
         group by p.staff, p.business_date
         {cash_in_hand}) counted
  full join staff_limit l using (staff, business_date, kind)
 where kind <> 'PER_TRANSACTION' {of_days}
   and (coalesce(l.reserved, 0), coalesce(l.own_used, 0))
       is distinct from (coalesce(counted.reserved, 0), coalesce(counted.own_used, 0))
"""
CASH_IN_HAND = """
union all
select t.staff, date '2000-01-01', 'CASH_IN_HAND', 0,
       sum(case when t.debit = 'staff_cash' then t.amount else -t.amount end)
  from posting t where 'staff_cash' in (t.debit, t.credit) group by t.staff
"""

CUSTODY = """
select 'payment' as table, p.id as row,
       format('%s %s is %s, hand-in %s', p.method, p.status, coalesce(p.custody, 'nowhere'),
              coalesce(h.id || ' ' || h.status, 'none')) as why
  from {payments} p
  left join hand_in h on h.id = p.hand_in
  left join reversal v on v.payment = p.id and v.kind = 'VOID' and v.status = 'DONE'
 where (p.custody is not null) <> (p.method = 'CASH' and p.status = 'SUCCESS')
    or (v.id is not null) <> (coalesce(p.custody, '') = 'VOIDED')
    or coalesce(h.status, '') <> case p.custody when 'HANDED_IN' then 'SUBMITTED'
                                                when 'RECONCILED' then 'CONFIRMED' else '' end
"""

HAND_INS = """
select 'hand_in' as table, h.id as row,
       format('%s: expects %s, its payments are %s; counted %s, posted %s from the staff'
              ' and %s to the bank', h.status, h.expected, coalesce(held.amount, 0), h.counted,
              coalesce(posted.out, 0), coalesce(posted.bank, 0)) as why
  from hand_in h
  left join (select hand_in, sum(amount) as amount from payment
              where hand_in is not null group by hand_in) held on held.hand_in = h.id
  left join (select e.hand_in,
                    sum(t.amount) filter (where t.credit = 'staff_cash') as out,
                    sum(t.amount) filter (where t.debit = 'bank') as bank
               from entry e join posting t on t.entry = e.id
              where e.hand_in is not null group by e.hand_in) posted on posted.hand_in = h.id
 where coalesce(held.amount, 0) <> h.expected
    or (h.status = 'CONFIRMED') <> (h.counted is not null)
    or coalesce(posted.out, 0) <> case when h.status = 'CONFIRMED' then h.expected else 0 end
    or coalesce(posted.bank, 0) <> case when h.status = 'CONFIRMED' then h.counted else 0 end
union all
select 'staff', coalesce(cash.staff, held.staff),
       format('has %s in the ledger, and payments of %s',
              coalesce(cash.balance, 0), coalesce(held.amount, 0))
  from (select t.staff,
               sum(case when t.debit = 'staff_cash' then t.amount else -t.amount end) as balance
          from posting t where 'staff_cash' in (t.debit, t.credit) group by t.staff) cash
  full join (select p.staff, sum(p.amount) as amount from payment p
              where p.custody in ('HELD_BY_STAFF', 'HANDED_IN') group by p.staff) held
       on held.staff = cash.staff
 where coalesce(cash.balance, 0) <> coalesce(held.amount, 0)
"""

REVERSALS = """
select 'reversal' as table, r.id as row,
       format('%s %s of %s: %s left its source, %s was paid or returned', r.kind, r.status,
              r.amount, coalesce(posted.taken, 0), coalesce(posted.ended, 0)) as why
  from reversal r
  join payment p on p.id = r.payment
  left join (select e.reversal,
                    coalesce(sum(t.amount) filter (where t.debit = r.source), 0) as taken,
                    coalesce(sum(t.amount) filter (where t.debit = 'refunds_payable'), 0) as ended,
                    coalesce(sum(t.amount) filter (where t.debit = 'refunds_payable'
                                                     and t.credit = r.source), 0) as back
               from entry e join posting t on t.entry = e.id join reversal r on r.id = e.reversal
              group by e.reversal) posted on posted.reversal = r.id
 where {of_reversals}
       (p.status <> 'SUCCESS' and r.source = 'customer_receivable'
        or r.currency <> p.currency and r.source = 'customer_receivable'
        or r.kind = 'VOID' and r.amount <> p.amount
        or (r.completed_at is not null) <> (r.status in ('DONE', 'FAILED'))
        or coalesce(posted.taken - posted.back, 0)
           <> case when r.status in ('PENDING', 'UNKNOWN', 'DONE') then r.amount else 0 end
        or coalesce(posted.ended - posted.back, 0)
           <> case when r.status = 'DONE' and r.gateway is not null then r.amount else 0 end
        or posted.back <> 0 and (posted.back <> r.amount or r.gateway is null
                                 or r.status not in ('DONE', 'FAILED')))
union all
select 'reversal', min(r.id),
       format('payment %s of %s has reversals of %s', p.id, p.amount, sum(r.amount))
  from {payments} p join reversal r on r.payment = p.id
 where r.status <> 'FAILED' and r.source = 'customer_receivable'
 group by p.id, p.amount having sum(r.amount) > p.amount
"""

# Jobs without a subject are left out, because `not in` is never true of a list with a null.
JOBS = """
with queued as materialized (
    select entrypoint, convert_from(payload, 'UTF8')::json ->> 'subject' as subject from pgqueuer
     where convert_from(payload, 'UTF8')::json ->> 'subject' is not null)
select 'payment' as table, p.id as row,
       'Revenue has no record of it, and no job will record it' as why
  from {payments} p
 where p.status = 'SUCCESS' and p.posting_status not in ('DONE', 'FAILED')
   and p.merchant_order is null
   and p.id not in (select subject from queued where entrypoint = 'record_payment')
union all
select 'payment', p.id, 'the customer was not notified, and no job will do it'
  from {payments} p left join notification n on n.payment = p.id and n.status <> 'PENDING'
 where p.status = 'SUCCESS' and n.id is null
   and p.notify::jsonb ->> 'phone' is not null
   and (p.notify::jsonb ->> 'hifpt' = 'true' or p.notify::jsonb ->> 'sms' = 'true')
   and p.id not in (select subject from queued where entrypoint = 'notify_customer')
union all
select 'payment', p.id, format('it is %s, and no job follows it up', p.status)
  from {payments} p
 where p.status in ('PENDING', 'PROCESSING') and p.hold_reason is null
   and p.id not in (select subject from queued where entrypoint = 'follow_up')
union all
select 'reversal', r.id, format('it is %s, and no job settles it', r.status)
  from reversal r
 where r.status = 'PENDING' and r.id not in (select subject from queued where entrypoint = 'refund')
union all
select 'reversal', r.id, 'Revenue has no record of it, and no job will record it'
  from reversal r
 where r.status = 'DONE' and r.posting_status = 'PENDING'
   and r.id not in (select subject from queued where entrypoint = 'report_reversal')
"""

KEYS = """
select 'idempotency_key' as table, k.id::text as row,
       format('stands for %s, which does not exist', k.subject_id) as why
  from idempotency_key k
  left join payment p on p.id = k.subject_id
 where p.id is null
   and not exists (select from reversal r where r.id = k.subject_id)
   and not exists (select from hand_in h where h.id = k.subject_id)
   and not exists (select from merchant_order o where o.id = k.subject_id)
"""

QUERIES = {
    InvariantName.LEDGER_BALANCED: LEDGER_BALANCED,
    InvariantName.SUCCESS_IS_POSTED: SUCCESS_IS_POSTED,
    InvariantName.SUSPENSE_HAS_A_CASE: SUSPENSE_HAS_A_CASE,
    InvariantName.ONE_COLLECTION: ONE_COLLECTION,
    InvariantName.LOCKS: LOCKS,
    InvariantName.LIMITS: LIMITS,
    InvariantName.CUSTODY: CUSTODY,
    InvariantName.HAND_INS: HAND_INS,
    InvariantName.REVERSALS: REVERSALS,
    InvariantName.JOBS: JOBS,
    InvariantName.KEYS: KEYS,
}
