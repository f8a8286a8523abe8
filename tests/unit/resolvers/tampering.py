"""Changes that the owner makes with every trigger off, and the row that a check must name."""

from __future__ import annotations

Tampering = dict[str, tuple[str, str]]


def read_table(text: str) -> Tampering:
    """Read each change as `name → row`, with its statements on the indented lines below."""
    table: dict[str, tuple[str, str]] = {}
    name = ""
    for line in filter(None, text.splitlines()):
        if line.startswith(" "):
            statements, row = table[name]
            table[name] = (f"{statements} {line.strip()}".strip(), row)
        else:
            name, _, row = line.partition(" → ")
            table[name] = ("", row)
    return table


def change_columns(name: str, row: str, update: str, values: dict[str, str]) -> Tampering:
    """Return one change for each column, from *update* with its column and value filled in."""
    return {
        f"{name} {column}": (update.replace("COLUMN", column).replace("VALUE", value), row)
        for column, value in values.items()
    }


LEDGER = r"""
a posting's amount → posting {posting}
    update posting set amount = amount + 1 where id = {posting}
a posting's account → posting {posting}
    update posting set debit = 'bank' where id = {posting}
a posting's member of staff → posting {posting}
    update posting set staff = 'NV001' where id = {posting}
a posting moved to another entry → posting {posting}
    update posting set entry = entry - 1 where id = {posting}
a posting deleted → posting {posting}
    delete from posting where id = {posting}
a posting inserted → posting 9999
    insert into posting (id, entry, debit, credit, amount, currency) values (9999, {entry},
    'bank', 'variance', 5, 'VND')
a posting's number → posting {posting}
    update posting set id = 9999 where id = {posting}
an entry's event → entry {entry}
    update entry set event = 'REFUND' where id = {entry}
an entry's time → entry {entry}
    update entry set created_at = created_at - interval '1 day' where id = {entry}
an entry given to another payment → entry {entry}
    update entry set payment = '{expired}' where id = {entry}
an entry deleted → entry {entry}
    delete from entry where id = {entry}
an entry deleted whole → posting {posting}
    delete from posting where entry = {entry}; delete from entry where id = {entry}
an entry inserted → posting 9999
    insert into entry (id, event, created_at, payment) values (9999, 'CREDIT', now(), '{cash}');
    insert into posting (id, entry, debit, credit, amount, currency) values (9999, 9999,
    'customer_receivable', 'customer_credit', 5, 'VND')
an empty entry → entry 9999
    insert into entry (id, event, created_at, payment) values (9999, 'CREDIT', now(), '{cash}')
two entries reordered → posting {posting}
    update posting set amount = (select sum(amount) from posting o where o.id in ({posting},
    {posting} - 1)) - amount where id in ({posting}, {posting} - 1)
the ledger cut off → posting {posting}
    delete from posting where entry >= {entry}; delete from entry where id >= {entry}
"""
PAYMENT_COLUMNS = change_columns(
    "a payment's",
    "payment {cash}",
    "update payment set COLUMN = VALUE where id = '{cash}'",
    {
        "amount": "amount + 1",
        "currency": "'USD'",
        "method": "'MOMO'",
        "contract_number": "'SGFDN9'",
        "staff": "'CA001'",
        "business_date": "business_date - 1",
        "late": "true",
        "status": "'CANCELLED'",
        "created_at": "created_at - interval '1 second'",
        "completed_at": "null",
        "custody": "'RECONCILED'",
    },
)
HELD_PAYMENT = change_columns(
    "a held payment whose case",
    "payment {held}",
    "update money_case set VALUE where payment = '{held}'",
    {
        "is resolved": "status = 'RESOLVED'",
        "moves no money": "kind = 'SETTLEMENT'",
        "is about less": "amount = amount - 1",
        "is about Revenue's record": "kind = 'RECORD_REFUSED'",
        "is about a refund": "kind = 'REFUND_UNKNOWN'",
    },
)
PAYMENTS = r"""
a success made of an expired one → payment {expired}
    update payment set status = 'SUCCESS' where id = '{expired}'
an expiry made of a success → payment {paid}
    update payment set status = 'EXPIRED' where id = '{paid}'
a live payment ended → payment {open}
    update payment set status = 'CANCELLED' where id = '{open}'
a live payment held → payment {open}
    update payment set hold_reason = 'AMOUNT_MISMATCH' where id = '{open}'
a live payment's amount → payment {open}
    update payment set amount = amount + 1 where id = '{open}'
a payment deleted → payment {cash}
    delete from payment where id = '{cash}'
a live payment deleted → payment {open}
    delete from payment where id = '{open}'
a payment deleted with all about it → payment {cash}
    delete from payment_record where payment = '{cash}';
    delete from payment_item where payment = '{cash}'; delete from payment where id = '{cash}'
a payment inserted → payment TXN_NEW
    insert into payment select (jsonb_populate_record(p, '{{"id": "TXN_NEW", "receipt_token":
    "new"}}')).* from payment p where id = '{expired}'
another attempt → payment {paid}
    update attempt set reference = 'OTHER' where payment = '{paid}'
an item's amount → payment {cash}
    update payment_item set amount = amount + 1 where id = {item}
another bill → payment {cash}
    update payment_item set item_id = 'U1' where id = {item}
an item deleted → payment {cash}
    delete from payment_item where id = {item}
an item inserted → payment {cash}
    insert into payment_item (id, payment, contract_number, type, item_id, amount, locked)
    select 9999, payment, contract_number, type, 'U2', 1, true from payment_item where id =
    {item}
a paid bill unlocked → payment_item {item}
    update payment_item set locked = false where id = {item}
a limit used more → staff_limit {limit}
    update staff_limit set own_used = own_used + 1 where id = {limit}
a limit reserved more → staff_limit {limit}
    update staff_limit set reserved = reserved + 1 where id = {limit}
a hand-in that expects less → hand_in {hand_in}
    update hand_in set expected = expected - 1
a hand-in counted otherwise → hand_in {hand_in}
    update hand_in set counted = counted + 1000
a hand-in open again → payment {handed}
    update hand_in set status = 'SUBMITTED', counted = null
cash that was never handed in → staff {staff}
    update payment set custody = 'HELD_BY_STAFF', hand_in = null where id = '{handed}'
a key of nothing → idempotency_key {key}
    update idempotency_key set subject_id = 'TXN_NONE' where id = {key}
a job lost → payment {cash}
    delete from pgqueuer where entrypoint = 'record_payment'
a follow-up lost beside one of nothing → payment {open}
    update pgqueuer set payload = '{{}}' where entrypoint = 'follow_up'
a follow-up lost → payment {open}
    delete from pgqueuer where entrypoint = 'follow_up'
"""
REFUND_COLUMNS = change_columns(
    "a refund's",
    "reversal {part}",
    "update reversal set COLUMN = VALUE where id = '{part}'",
    {
        "amount": "amount + 1",
        "source": "'suspense'",
        "status": "'FAILED'",
        "payment": "'{paid}'",
        "reason": "'x'",
        "requested_by": "'NV001'",
        "approved_by": "'NV001'",
        "currency": "'USD'",
        "share": "1, share_currency = 'USD'",
    },
)
REVERSALS = r"""
a refund that did not fail → reversal {failed}
    update reversal set status = 'DONE' where id = '{failed}'
a refund begun again → reversal {whole}
    update reversal set status = 'PENDING', completed_at = null where id = '{whole}'
a refund deleted → reversal {part}
    delete from reversal where id = '{part}'
a refund inserted → reversal REV_NEW
    insert into reversal select (jsonb_populate_record(r, '{{"id": "REV_NEW"}}')).* from
    reversal r where id = '{part}'
a void that failed → reversal {void}
    update reversal set status = 'FAILED' where id = '{void}'
a void made a refund → reversal {void}
    update reversal set kind = 'REFUND' where id = '{void}'
a void deleted → reversal {void}
    delete from reversal where id = '{void}'
"""
AUDIT_COLUMNS = change_columns(
    "an audit row's",
    "audit_event {audit}",
    "update audit_event set COLUMN = VALUE where id = {audit}",
    {
        "at": "at + interval '1 microsecond'",
        "actor": "'NV001'",
        "action": "'x'",
        "outcome": "'FAILED'",
        "payment_id": "null",
        "from_status": "null",
        "to_status": "'FAILED'",
        "evidence": "'FOUR_EYES'",
        "source": "''",
        "event_id": "''",
        "request_id": "'x'",
        "details": "details || '{{\"x\": 1}}'",
        "txid": "txid + 1",
    },
)
PROOFS = r"""
a record's text → payment_record {record}
    update payment_record set payload = replace(payload, 'VND', 'USD') where id = {record}
a record's signature → payment_record {record}
    update payment_record set signature = '\x00' where id = {record}
a record's key → payment_record {record}
    update payment_record set key_id = 'another' where id = {record}
a record's version → payment_record {record}
    update payment_record set version = version + 1 where id = {record}
a record inserted → payment_record 9999
    insert into payment_record select 9999, payment, version + 1, payload, key_id, signature,
    signed_at from payment_record where id = {record}
a record deleted → payment {cash}
    delete from payment_record where id = {record}
a payment and its record → payment_record {record}
    update payment set amount = amount + 1 where id = '{cash}';
    update payment_record set payload = replace(payload, '"amount":', '"amount":1') where id =
    {record}
an audit row deleted → audit_event {audit}
    delete from audit_event where id = {audit}
an audit row inserted behind → audit_event 9999
    insert into audit_event (id, at, actor, action, outcome, details, txid) values (9999, now(),
    'NV001', 'x', 'DONE', '{{}}', 5)
an audit row inserted before → audit_link 0
    insert into audit_event (id, at, actor, action, outcome, details, txid) values (9999, now(),
    'NV001', 'x', 'DONE', '{{}}', 5);
    insert into audit_link (number, event, prev_hash, hash) values (0, 9999, '\x02', '\x03')
two audit rows reordered → audit_event {other_audit}
    update audit_link set event = -event where number in (3, {link});
    update audit_link set event = (select -sum(o.event) + audit_link.event from audit_link o
    where o.number in (3, {link})) where number in (3, {link})
an audit row and its link → audit_link {after_link}
    delete from audit_event where id = (select event from audit_link where number = {link});
    delete from audit_link where number = {link}
a link's hash → audit_link {after_link}
    update audit_link set hash = '\x01' where number = {link}
a link's number → audit_link {after_link}
    update audit_link set number = 9999 where number = {link}
a seal's head → seal {seal}
    update seal set head = '\x01' where id = {seal}
a seal's signature → seal {seal}
    update seal set signature = '\x01' where id = {seal}
a seal deleted → seal {after_seal}
    delete from seal where id = {seal}
the last seal deleted → audit_link {last_link}
    delete from seal where id = {last_seal}
the tail cut off → audit_link {last_link}
    delete from audit_event where id in (select event from audit_link where number >= (select
    first from seal where id = {last_seal}));
    delete from audit_link where number >= (select first from seal where id = {last_seal});
    delete from seal where id = {last_seal}
the chain begun anew → audit_link {last_link}
    delete from seal; delete from audit_link
"""
TAMPERING = (
    read_table(LEDGER + PAYMENTS + REVERSALS + PROOFS)
    | PAYMENT_COLUMNS
    | HELD_PAYMENT
    | REFUND_COLUMNS
    | AUDIT_COLUMNS
)
