"""
The rows of many valid payments, as the API would have written them.

A payment's number determines its fields. Of five payments two are cash, one is by wallet and two
are by VNPAY; one VNPAY payment in twenty is refunded in full. Each fourth payment includes a fee.
They are spread evenly over DAYS; cash is handed in and counted on each day but the last.
"""

from __future__ import annotations

STAFF_COUNT = 200
DAYS = 90

STAFF = f"""
insert into staff (staff_id, name, role, team, permissions, seen_at)
select 'NV' || n, 'Thu ngân ' || n, 'TIN_PNC', 'TEAM' || n % 20, '[]', $1::timestamptz
  from generate_series(1, {STAFF_COUNT}) n
"""

# Payments {first} to {last} of {count}, all before {until}, which is a midnight in Vietnam.
FACTS = f"""
create temp table facts as
select *, created_at + case when method = 'CASH' then interval '0'
                            else interval '40 seconds' end as done_at,
       case when method = 'CASH' then 2 else 4 end as version,
       case when method = 'CASH' and not last_day then 'HIN' || day || '_' || who end as hand_in
  from (select n, 'TXN' || lpad(n::text, 12, '0') as id, 'BM' || n as contract, who,
               'NV' || who as staff, 'TEAM' || who % 20 as team,
               'REF' || lpad(n::text, 12, '0') as reference,
               100000 + n * 7919 % 900 * 1000 as amount, n % 4 = 0 as with_fee,
               n % 100 = 99 as refunded,
               case n % 5 when 0 then 'CASH' when 1 then 'CASH' when 2 then 'FPT_PAY'
                    else 'VNPAY_QR' end as method,
               case n % 5 when 2 then 'FPT_PAY' else 'VNPAY' end as gateway,
               case n % 5 when 0 then 'staff_cash' when 1 then 'staff_cash'
                    when 2 then 'wallet_clearing' else 'gateway_clearing:vnpay' end as account,
               day, day = {DAYS} - 1 as last_day,
               timestamptz '{{until}}' - make_interval(days => {DAYS} - day) + interval '7 hours'
                   + n % 40000 * interval '1 second'
                   + n % 1000 * interval '1 millisecond' as created_at,
               (timestamptz '{{until}}' at time zone 'Asia/Ho_Chi_Minh')::date - {DAYS} + day
                   as business_date
          from (select n, (n * 31 % {STAFF_COUNT} + 1) as who,
                       ((n - 1) * {DAYS} / {{count}}::bigint)::int as day
                  from generate_series({{first}}::bigint, {{last}}::bigint) n) numbered) payments
"""

PAYMENTS = """
insert into payment (id, version, status, method, amount, currency, contract_number, customer_name,
                     customer_name_folded, staff, team, business_date, receipt_token, notify,
                     created_at, updated_at, expires_at, completed_at, custody,
                     needs_verification, late, posting_status, hand_in)
select id, version, 'SUCCESS', method, amount, 'VND', contract, 'Nguyễn Văn ' || n,
       'nguyen van ' || n, staff, team, business_date, md5(id),
       '{"phone": "+84901234567", "hifpt": true, "sms": true, "email": null}', created_at, done_at,
       case when method <> 'CASH' then created_at + interval '15 minutes' end, done_at,
       case when hand_in is not null then 'RECONCILED'
            when method = 'CASH' then 'HELD_BY_STAFF' end,
       false, false, 'DONE', hand_in
  from facts order by n
"""
ITEMS = """
insert into payment_item (payment, contract_number, type, item_id, amount, locked)
select id, contract, type, type || n,
       case when not with_fee then amount when type = 'FEE' then 50000
            else amount - 50000 end, not refunded
  from facts cross join (values ('BILL'), ('FEE')) kinds (type) where with_fee or type = 'BILL'
 order by n
"""
ATTEMPTS = """
insert into attempt (reference, payment, gateway, status, amount, currency, created_at, expires_at,
                     sent_at, answered_at, gateway_id, inquiries, last_result, paid_under)
select reference, id, gateway, 'PAID', amount, 'VND', created_at,
       created_at + interval '15 minutes', created_at, done_at, 'G' || n, 0, 'PAID', array['G' || n]
  from facts where method <> 'CASH' order by n
"""
MESSAGES = """
insert into notification (id, payment, phone, template, channel, status, attempts, created_at,
                          sent_at)
select 'MSG' || n, id, '+84901234567', 'payment_success', 'HIFPT', 'SENT', 1, done_at, done_at
  from facts order by n
"""
KEYS = """
insert into idempotency_key (actor_id, operation, key, fingerprint, subject_id, process, created_at,
                             answered_at)
select staff, 'processPayment', md5('key' || n), sha256(id::bytea), id, 1, created_at, done_at
  from facts order by n
"""
REVERSALS = """
insert into reversal (id, payment, kind, status, amount, currency, source, reason, requested_by,
                      attempt, gateway, gateway_id, created_at, updated_at, sent_at, completed_at,
                      inquiries, posting_status)
select 'REV' || n, id, 'REFUND', 'DONE', amount, 'VND', 'customer_receivable', 'khách trả thừa',
       'FI001', reference, gateway, 'R' || n, done_at + interval '1 hour',
       done_at + interval '1 hour', done_at + interval '1 hour', done_at + interval '1 hour', 0,
       'DONE'
  from facts where refunded order by n
"""
# The entries of this chunk's payments; `number` is the id of an entry and of its only posting.
MOVES = """
create temp table moves as
select n * 4 as number, method, n, id, staff, amount, null as reversal,
       case when method = 'CASH' then 'SUCCESS' else 'PAID' end as event,
       account as debit, 'customer_receivable' as credit, done_at as at from facts
union all
select n * 4 + 1, method, n, id, staff, amount, 'REV' || n, 'REFUND', 'customer_receivable',
       'refunds_payable', done_at + interval '1 hour' from facts where refunded
union all
select n * 4 + 2, method, n, id, staff, amount, 'REV' || n, 'REFUND_PAID', 'refunds_payable',
       account, done_at + interval '1 hour' from facts where refunded
"""
ENTRIES = """
insert into entry (id, payment, reversal, event, created_at)
select number, id, reversal, event, at from moves order by number
"""
POSTINGS = """
insert into posting (id, entry, debit, credit, amount, currency, staff)
select number, number, debit, credit, amount, 'VND', staff from moves order by number
"""
# For each payment in this order: created, sent, posted, concluded, refunded.
AUDIT = """
insert into audit_event (at, actor, action, outcome, payment_id, from_status, to_status, evidence,
                         source, details)
select at, actor, action, 'DONE', payment_id, from_status, to_status, evidence, source, details
  from (select n, 1 as step, created_at as at, staff as actor, 'create' as action, id as payment_id,
               null as from_status, 'PENDING' as to_status, null as evidence, null as source,
               jsonb_build_object('version', 1, 'amount', amount, 'finding', null) as details
          from facts
         union all
        select n, 2, created_at, staff, 'send', id, 'PENDING', 'PROCESSING', null, null,
               jsonb_build_object('version', 2, 'amount', amount, 'finding', null)
          from facts where method <> 'CASH'
         union all
        select n, 3 + number % 4 * 2, at, 'ledger', 'post', null, null, null, null, null,
               jsonb_build_object('entry', number, 'event', event, 'payment', id,
                   'reversal', reversal, 'hand_in', null, 'postings', jsonb_build_array(
                       jsonb_build_array(number, debit, credit, amount, 'VND', staff)))
          from moves
         union all
        select n, 4, done_at, staff, case when method = 'CASH' then 'confirmCash' else 'apply' end,
               facts.id, case when method = 'CASH' then 'PENDING' else 'PROCESSING' end, 'SUCCESS',
               case when method <> 'CASH' then 'WEBHOOK' end,
               case when method <> 'CASH' then 'webhook' end,
               jsonb_build_object('version', facts.version, 'amount', amount, 'finding',
                   case when method <> 'CASH' then 'PAID' end, 'record',
                   encode(sha256(convert_to(r.payload, 'UTF8')), 'hex'))
          from facts join payment_record r on r.payment = facts.id
         union all
        select n, 8, done_at + interval '1 hour', 'FI001', 'refund', id, 'SUCCESS', 'SUCCESS',
               'INQUIRY', 'refund',
               jsonb_build_object('reversal', 'REV' || n, 'was', 'PENDING', 'status', 'DONE',
                   'amount', amount, 'source', 'customer_receivable',
                   'reason', 'khách trả thừa', 'requested_by', 'FI001')
          from facts where refunded) steps
 order by n, step
"""

# The statements for a chunk of payments, before and after their records are signed.
BEFORE_RECORDS = (PAYMENTS, ITEMS, ATTEMPTS, MESSAGES, KEYS, REVERSALS, MOVES, ENTRIES, POSTINGS)
AFTER_RECORDS = (AUDIT, "drop table facts, moves")

# The statements for all payments together: each collector's hand-ins and limits.
AFTER_ALL_CHUNKS = (
    """
    select setval('entry_id_seq', (select max(id) from entry)),
           setval('posting_id_seq', (select max(id) from posting))
    """,
    """
    insert into hand_in (id, staff, team, status, expected, declared, counted, business_date,
                         submitted_at, confirmed_at, confirmed_by)
    select hand_in, staff, team, 'CONFIRMED', sum(amount), sum(amount), sum(amount), business_date,
           max(completed_at) + interval '1 hour', max(completed_at) + interval '2 hours', 'CA001'
      from payment where hand_in is not null group by hand_in, staff, team, business_date
    """,
    """
    with added as (
        insert into entry (hand_in, event, created_at)
        select id, 'HAND_IN', confirmed_at from hand_in returning *),
    posted as (
        insert into posting (entry, debit, credit, amount, currency, staff)
        select added.id, 'bank', 'staff_cash', h.counted, 'VND', h.staff
          from added join hand_in h on h.id = added.hand_in returning *)
    insert into audit_event (at, actor, action, outcome, details)
    select added.created_at, 'ledger', 'post', 'DONE', jsonb_build_object(
               'entry', added.id, 'event', added.event, 'payment', null, 'reversal', null,
               'hand_in', added.hand_in, 'postings', jsonb_build_array(
                   jsonb_build_array(p.id, p.debit, p.credit, p.amount, p.currency, p.staff)))
      from added join posted p on p.entry = added.id
    """,
    """
    insert into staff_limit (staff, business_date, kind, ceiling, own_used, reserved,
                             first_reported_used, reported_used, read_at)
    select staff, business_date, 'DAILY', 1000000000, sum(amount), 0, 0, 0, max(created_at)
      from payment where method in ('CASH', 'FPT_PAY') group by staff, business_date
     union all
    select staff, date '2000-01-01', 'CASH_IN_HAND', 1000000000,
           coalesce(sum(amount) filter (where custody = 'HELD_BY_STAFF'), 0), 0, 0, 0,
           max(created_at)
      from payment group by staff
    """,
)  # fmt: skip
