"""
The invariants that find tampering: each query returns the rows that do not match their proof.

The ledger is compared with the audit rows of its postings, a payment with its signed record, the
record with its hash in an audit row, and the audit rows with their chain.
"""

from __future__ import annotations

from db.chain import ROW_TEXT
from domain.invariants import InvariantName

LEDGER_AS_WRITTEN = """
with written as (
    select e.id as audit, (e.details ->> 'entry')::bigint as entry, e.at as created_at,
           e.details ->> 'event' as event, e.details ->> 'payment' as payment,
           e.details ->> 'reversal' as reversal, e.details ->> 'hand_in' as hand_in,
           (line ->> 0)::bigint as id, line ->> 1 as debit, line ->> 2 as credit,
           (line ->> 3)::bigint as amount, line ->> 4 as currency, line ->> 5 as staff
      from audit_event e cross join lateral jsonb_array_elements(e.details -> 'postings') as line
     where e.action = 'post' {audit_lately}),
stored as (
    select t.* from posting t {postings_lately})
select case when in_both and same_line then 'entry' else 'posting' end as table,
       case when in_both and same_line then entry else id end ::text as row,
       case when audit is null then 'was added: no audit row has it'
            when not in_both then format('is gone: audit row %s has it', audit)
            else format('is not as audit row %s has it', audit) end as why
  from (select coalesce(stored.id, written.id) as id,
               coalesce(stored.entry, written.entry) as entry, written.audit,
               stored.id is not null and written.id is not null as in_both,
               (stored.entry, stored.debit, stored.credit, stored.amount, stored.currency,
                stored.staff)
               is not distinct from (written.entry, written.debit, written.credit, written.amount,
                                     written.currency, written.staff) as same_line,
               (n.event, n.payment, n.reversal, n.hand_in, n.created_at)
               is not distinct from (written.event, written.payment, written.reversal,
                                     written.hand_in, written.created_at) as same_entry
          from written full join stored on stored.id = written.id
          left join entry n on n.id = coalesce(stored.entry, written.entry)) compared
 where not (in_both and same_line and same_entry)
"""

AUDITED = """
select 'payment' as table, p.id as row, 'was added: no audit row has its creation' as why
  from {payments} p
 where not exists (
       select from audit_event e where e.payment_id = p.id and e.action = 'create'
          and (e.details ->> 'amount')::bigint = p.amount)
union all
select 'payment', e.payment_id, format('is gone: audit row %s created it', e.id)
  from audit_event e left join payment p on p.id = e.payment_id
 where e.action = 'create' and e.payment_id is not null and p.id is null {audit_lately}
union all
select 'payment', p.id, format('it is %s, and the last audit row says %s', p.status, last.to_status)
  from {payments} p
  cross join lateral (
       select e.to_status from audit_event e
        where e.payment_id = p.id and e.details ? 'version' and e.to_status is not null
        order by e.id desc limit 1) last
 where p.status in ('PENDING', 'PROCESSING') and last.to_status <> p.status
union all
select 'reversal', r.id, coalesce(format('is not as audit row %s has it', last.id),
                                  'was added: no audit row of its payment has it')
  from reversal r
  left join lateral (
       select e.id, e.action, e.details as written from audit_event e
        where e.payment_id = r.payment and e.details ->> 'reversal' = r.id
          and e.action in ('void', 'refund')
        order by e.id desc limit 1) last on true
 where {of_reversals}
       (upper(last.action), last.written ->> 'status', (last.written ->> 'amount')::bigint,
        (last.written ->> 'share')::bigint, last.written ->> 'source', last.written ->> 'reason',
        last.written ->> 'requested_by', last.written ->> 'approved_by')
       is distinct from (r.kind, r.status, r.amount, r.share, r.source, r.reason, r.requested_by,
                         r.approved_by)
union all
select 'reversal', e.details ->> 'reversal', format('is gone: audit row %s has it', e.id)
  from audit_event e left join reversal r on r.id = e.details ->> 'reversal'
 where e.action in ('void', 'refund') and e.payment_id is not null and r.id is null
   {audit_lately}
"""

# The payload that domain/receipts.py makes in Python, made from the tables alone.
_MOMENT = """'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'"""
_PAYLOAD = f"""
    format('{{"amount":%s,"business_date":"%s","completed_at":%s,"contract_number":%s,'
           '"created_at":"%s","currency":"%s","gateway":%s,"gateway_reference":%s,"items":[%s],'
           '"late":%s,"method":"%s","order_id":%s,"staff_id":%s,"status":"%s",'
           '"transaction_id":%s,"version":%s}}',
           p.amount, to_char(p.business_date, 'YYYY-MM-DD'),
           coalesce('"' || to_char(p.completed_at at time zone 'UTC', {_MOMENT}) || '"', 'null'),
           coalesce(to_json(p.contract_number)::text, 'null'),
           to_char(p.created_at at time zone 'UTC', {_MOMENT}), p.currency,
           coalesce(to_json(a.gateway)::text, 'null'),
           coalesce(to_json(a.reference)::text, 'null'), coalesce(i.text, ''), p.late::text,
           p.method,
           coalesce(to_json(p.merchant_order)::text, 'null'), to_json(p.staff), p.status,
           to_json(p.id), r.version)
"""

# No correlated subselect, so that all joins merge indexes in the order of payments.
RECORDS = f"""
select case when record is not null and not (audited and same_hash) then 'payment_record'
            else 'payment' end as table,
       case when record is not null and not (audited and same_hash) then record
            else payment end as row,
       case when record is null then 'is final and has no record'
            when not audited then format('of %s: no audit row has it', payment)
            when not same_hash then format('of %s: its hash is not the audit row''s', payment)
            else format('is not as record %s has it', record) end as why
  from (select p.id as payment, r.id::text as record, e.id is not null as audited,
               e.details ->> 'record'
               = encode(sha256(convert_to(r.payload, 'UTF8')), 'hex') as same_hash,
               later.version is not null or r.payload = {_PAYLOAD} as agrees
          from {{payments}} p
          left join payment_record r on r.payment = p.id
          left join payment_record later
               on later.payment = p.id and later.version > r.version
          left join audit_event e on e.payment_id = p.id and e.details ? 'record'
               and (e.details ->> 'version')::int = r.version
          left join (select distinct on (payment) payment, gateway, reference
                       from attempt {{of_payments}} order by payment, created_at desc) a
               on a.payment = p.id
          left join (select payment, string_agg(
                            format('{{"amount":%s,"id":%s,"type":"%s"}}',
                                   amount, to_json(item_id), type),
                            ',' order by type collate "C", item_id collate "C") as text
                       from payment_item {{of_payments}} group by payment) i
               on i.payment = p.id
         where p.status not in ('PENDING', 'PROCESSING') or r.id is not null) compared
 where record is null or not (audited and same_hash and agrees)
union all
select 'payment_record', format('%s, version %s', e.payment_id, e.details ->> 'version'),
       format('is gone: audit row %s has its hash', e.id)
  from audit_event e
  left join payment_record r on r.payment = e.payment_id
       and r.version = (e.details ->> 'version')::int
 where e.details ? 'record' and r.id is null {{audit_lately}}
union all
select 'payment', r.payment, format('is gone: record %s has it', r.id)
  from payment_record r left join payment p on p.id = r.payment
 where p.id is null {{records_lately}}
"""

# One pass compares each link with the one before it; indexes alone find the rows without a link.
CHAIN = f"""
select case when broken then 'audit_link' else 'audit_event' end as table,
       case when broken then number else event end ::text as row,
       case when not broken and audited is null then format('is gone: link %s names it', number)
            when not broken then format('is not as link %s has it', number)
            when before <> number - 1 then 'the link before it is gone'
            else 'does not fit the link before it' end as why
  from (select l.number, l.event, l.before, l.broken, e.id as audited,
               l.hash = sha256(l.prev_hash || convert_to({ROW_TEXT}, 'UTF8')) as fits
          from (select number, event, prev_hash, hash,
                       lag(number, 1, 0::bigint) over walk as before,
                       (lag(number, 1, 0::bigint) over walk,
                        lag(hash, 1, decode(repeat('00', 32), 'hex')) over walk)
                       is distinct from (number - 1, prev_hash) as broken
                  from audit_link {{links_lately}}
                window walk as (order by number)) l
          left join audit_event e on e.id = l.event {{but_the_first}}) chained
 where broken or fits is not true
union all
select 'audit_event', e.id::text, 'was added after later rows were linked'
  from audit_event e
 where e.id in (
       select e.id from audit_event e left join audit_link l on l.event = e.id
        where l.event is null {{audit_lately}})
   and (e.txid, e.id) < (
       select e.txid, e.id from audit_link l join audit_event e on e.id = l.event
        order by l.number desc limit 1)
"""

SEALS = """
select 'seal' as table, s.id::text as row,
       case when s.first <> s.expected
                 then format('begins at link %s instead of %s', s.first, s.expected)
            when l.number is null then format('covers link %s, which is gone', s.last)
            else format('is not over the present link %s', s.last) end as why
  from (select id, first, last, head,
               coalesce(lag(last) over (order by id) + 1, {first_sealed}) as expected
          from seal {seals_lately}) s
  left join audit_link l on l.number = s.last
 where s.first <> s.expected or s.last < s.first or l.hash is distinct from s.head
union all
select 'audit_link', l.number::text, 'is under no seal'
  from audit_link l
 where l.number > coalesce((select last from seal order by id desc limit 1), 0)
"""

QUERIES = {
    InvariantName.LEDGER_AS_WRITTEN: LEDGER_AS_WRITTEN,
    InvariantName.AUDITED: AUDITED,
    InvariantName.RECORDS: RECORDS,
    InvariantName.CHAIN: CHAIN,
    InvariantName.SEALS: SEALS,
}
