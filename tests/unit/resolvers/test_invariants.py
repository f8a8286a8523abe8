"""The checks hold for an untouched database, and name each row that somebody changed."""

# ruff: noqa: E501 — a row of a table is one line.
from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest

from db import engine
from domain.hand_ins import SubmitHandIn
from domain.invariants import Invariant, InvariantName
from domain.methods import PaymentMethod
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import HoldReason
from integrations.gateways import Gateways
from integrations.heads import Heads
from integrations.keys import KeyRing
from mobinet.bootstrap import keys_of, process_context
from mobinet.settings import Settings
from resolvers import hand_ins, invariants, jobs, payment_evidence, reversals, sealing
from resolvers.context import Context
from resolvers.reversals import ReversalResult
from tests.support.backend import Backend, Clock, StubGateway
from tests.support.databases import other_tests_are_done
from tests.support.running_api import Sandbox, key

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


@dataclass
class Day:
    """A sealed database in which every operation happened once, and the ids of its rows."""

    database: str
    keys: KeyRing
    heads: Heads
    ids: dict[str, str]

    async def proved(self, after: str = "") -> dict[InvariantName, Invariant]:
        """Check everything as it is *after* some statements of the owner's, which are undone again."""
        connection: Any = await asyncpg.connect(self.database)
        await connection.transaction().start()
        try:
            await connection.execute(
                f"set local session_replication_role = replica; {after}; set local role mobinet_app"
            )
            found = await invariants.check_all([connection], self.keys, self.heads, signatures=True)
            return {item.name: item for item in found}
        finally:
            await connection.close()


@pytest.fixture(scope="module")
def day(
    api_settings: Settings, sandbox: Sandbox, module_database: str, tmp_path_factory: Any
) -> Day:
    heads = Heads(tmp_path_factory.mktemp("heads") / "heads.log")

    async def happens() -> dict[str, str]:
        async with process_context(api_settings) as context:
            clock, gateway = Clock(await context.clock()), StubGateway()
            given = replace(context, clock=clock, gateways=Gateways([gateway]), heads=heads)
            contracts = iter(range(3000, 3030))
            collectors = iter(range(1300, 1310))
            backend = Backend(
                given, clock, gateway, sandbox, contracts, collectors, context.gateways
            )
            ids = await everything(backend)
            await other_tests_are_done()
            while await sealing.seal(given, most=10):
                pass
            return ids | await rows_of(ids)

    ids = asyncio.run(happens())
    return Day(module_database, keys_of(api_settings).receipts, heads, ids)


async def everything(backend: Backend) -> dict[str, str]:
    """Make one payment of each kind; return their ids."""
    by = await backend.collector()
    assert by.actor is not None
    ids = {"staff": by.actor.id}
    handed = await backend.new_payment(by, PaymentMethod.CASH)
    command = SubmitHandIn(idempotency_key=key(), counted_amount=handed.amount, note=None)
    hand_in = await hand_ins.submit(by, command)
    await hand_ins.confirm(
        await backend.as_staff("CA001"), hand_in.id, counted_amount=handed.amount - 1000
    )
    backend.gateway.inquiry_result = GatewayResult.PAID
    paid = await backend.new_payment(by)
    backend.clock.move(minutes=16)
    await jobs.follow_up(backend.context, paid.id)
    backend.gateway.inquiry_result = GatewayResult.UNPAID
    expired = await backend.new_payment(by)
    backend.clock.move(minutes=16)
    await jobs.follow_up(backend.context, expired.id)
    late = await backend.new_payment(by)
    backend.clock.move(minutes=16)
    await jobs.follow_up(backend.context, late.id)
    backend.gateway.inquiry_result = GatewayResult.PAID
    await jobs.inquire(backend.context, late.id)
    backend.gateway.inquiry_result = GatewayResult.UNPAID
    cash, open_ = await backend.new_payment(by, PaymentMethod.CASH), await backend.new_payment(by)
    payments = {
        "handed": handed, "cash": cash, "paid": paid, "expired": expired, "late": late, "open": open_
    }  # fmt: skip
    ids |= {name: payment.id for name, payment in payments.items()}
    states = {
        name: (await backend.reload(payment)).status.value for name, payment in payments.items()
    }
    assert states == {
        "handed": "SUCCESS", "cash": "SUCCESS", "paid": "SUCCESS", "expired": "EXPIRED",
        "late": "SUCCESS", "open": "PROCESSING",
    }  # fmt: skip
    ids |= {"hand_in": hand_in.id, "held": await held(backend, by)}
    return ids | await everything_undone(backend, by)


async def held(backend: Backend, by: Context) -> str:
    """Make a payment that was paid too little and two people must decide; return its id."""
    little = await backend.new_payment(by)
    assert little.attempt is not None
    money = replace(little.money, amount=little.amount - 1000)
    evidence = Evidence(
        source=EvidenceSource.INQUIRY, origin="test", result=GatewayResult.PAID, money=money
    )
    applied = await payment_evidence.apply(backend.context, little.attempt.reference, evidence)
    assert applied.payment.hold_reason is HoldReason.AMOUNT_MISMATCH
    return little.id


async def everything_undone(backend: Backend, by: Context) -> dict[str, str]:
    """Make a void, a whole, a partial and a failed refund; return their ids."""
    finance = await backend.as_staff("FI001")

    async def refunded(result: GatewayResult, part: int = 1) -> ReversalResult:
        qr = await backend.new_payment(by)
        backend.gateway.inquiry_result = GatewayResult.PAID
        backend.clock.move(minutes=16)
        await jobs.follow_up(backend.context, qr.id)
        backend.gateway.inquiry_result, backend.gateway.refund_result = GatewayResult.UNPAID, result
        return await reversals.refund(
            finance, qr.id, amount=qr.amount // part, reason="trả lại", idempotency_key=key()
        )

    cash = await backend.new_payment(by, PaymentMethod.CASH)
    done = {
        "void": await reversals.void(by, cash.id, reason="thu nhầm", idempotency_key=key()),
        "whole": await refunded(GatewayResult.PAID),
        "part": await refunded(GatewayResult.PAID, 2),
        "failed": await refunded(GatewayResult.DECLINED),
    }
    states = {name: item.reversal.status.value for name, item in done.items()}
    assert states == {"void": "DONE", "whole": "DONE", "part": "DONE", "failed": "FAILED"}
    # Lets Revenue and Debt be notified of the void.
    await jobs.record_payment(backend.context, cash.id)
    await jobs.settle_debt(backend.context, cash.id)
    await jobs.report_reversal(backend.context, done["void"].reversal.id)
    return {name: item.reversal.id for name, item in done.items()}


async def rows_of(ids: dict[str, str]) -> dict[str, str]:
    """Return the keys of rows about the cash payment, by table, and some of the chain."""
    rows = {
        "entry": "select id from entry where payment = $1",
        "posting": "select t.id from posting t join entry e on e.id = t.entry where e.payment = $1",
        "item": "select id from payment_item where payment = $1",
        "record": "select id from payment_record where payment = $1",
        "audit": "select id from audit_event where payment_id = $1 and details ? 'record'",
        "limit": "select id from staff_limit where kind = 'DAILY' and $1 <> ''",
        "other_audit": "select min(event) from audit_link where number = 3 and $1 <> ''",
        "link": "select number from audit_link l join audit_event e on e.id = l.event"
        " where e.payment_id = $1 and e.action = 'create'",
        "last_link": "select max(number) from audit_link where $1 <> ''",
        "seal": "select min(id) + 1 from seal where $1 <> ''",
        "last_seal": "select max(id) from seal where $1 <> ''",
    }
    return {name: str(await engine.fetchval(sql, ids["cash"])) for name, sql in rows.items()} | {
        "key": str(
            await engine.fetchval(
                "select id from idempotency_key where subject_id = $1", ids["cash"]
            )
        )
    }


def broken(found: dict[InvariantName, Invariant]) -> dict[str, list[str]]:
    return {
        name.value: [f"{row.table} {row.row}: {row.why}" for row in item.rows]
        for name, item in found.items()
        if not item.holds
    }


async def test_every_invariant_holds_where_every_operation_happened_once(day: Day) -> None:
    found = await day.proved()
    assert broken(found) == {}
    assert set(found) == set(InvariantName)


# ── tampering ────────────────────────────────────────────────────────────────────────────────────

# A change by the owner, with every trigger off, and the row that must be named.
LEDGER = {
    "a posting's amount": ("update posting set amount = amount + 1 where id = {posting}", "posting {posting}"),
    "a posting's account": ("update posting set debit = 'bank' where id = {posting}", "posting {posting}"),
    "a posting's member of staff": ("update posting set staff = 'NV001' where id = {posting}", "posting {posting}"),
    "a posting moved to another entry": ("update posting set entry = entry - 1 where id = {posting}", "posting {posting}"),
    "a posting deleted": ("delete from posting where id = {posting}", "posting {posting}"),
    "a posting inserted": ("insert into posting (id, entry, debit, credit, amount, currency) values (9999, {entry}, 'bank', 'variance', 5, 'VND')", "posting 9999"),
    "a posting's number": ("update posting set id = 9999 where id = {posting}", "posting {posting}"),
    "an entry's event": ("update entry set event = 'REFUND' where id = {entry}", "entry {entry}"),
    "an entry's time": ("update entry set created_at = created_at - interval '1 day' where id = {entry}", "entry {entry}"),
    "an entry given to another payment": ("update entry set payment = '{expired}' where id = {entry}", "entry {entry}"),
    "an entry deleted": ("delete from entry where id = {entry}", "entry {entry}"),
    "an entry deleted whole": ("delete from posting where entry = {entry}; delete from entry where id = {entry}", "posting {posting}"),
    "an entry inserted": ("insert into entry (id, event, created_at, payment) values (9999, 'CREDIT', now(), '{cash}'); insert into posting (id, entry, debit, credit, amount, currency) values (9999, 9999, 'customer_receivable', 'customer_credit', 5, 'VND')", "posting 9999"),
    "an empty entry": ("insert into entry (id, event, created_at, payment) values (9999, 'CREDIT', now(), '{cash}')", "entry 9999"),
    "two entries reordered": ("update posting set amount = (select sum(amount) from posting o where o.id in ({posting}, {posting} - 1)) - amount where id in ({posting}, {posting} - 1)", "posting {posting}"),
    "the ledger cut off": ("delete from posting where entry >= {entry}; delete from entry where id >= {entry}", "posting {posting}"),
}  # fmt: skip
PAYMENTS = {
    **{
        f"a payment's {column}": (f"update payment set {column} = {to} where id = '{{cash}}'", "payment {cash}")
        for column, to in {
            "amount": "amount + 1", "currency": "'USD'", "method": "'MOMO'", "contract_number": "'SGFDN9'",
            "staff": "'CA001'", "business_date": "business_date - 1", "late": "true", "status": "'CANCELLED'",
            "created_at": "created_at - interval '1 second'", "completed_at": "null",
            "custody": "'RECONCILED'",
        }.items()
    },
    "a success made of an expired one": ("update payment set status = 'SUCCESS' where id = '{expired}'", "payment {expired}"),
    "an expiry made of a success": ("update payment set status = 'EXPIRED' where id = '{paid}'", "payment {paid}"),
    "a live payment ended": ("update payment set status = 'CANCELLED' where id = '{open}'", "payment {open}"),
    "a live payment held": ("update payment set hold_reason = 'AMOUNT_MISMATCH' where id = '{open}'", "payment {open}"),
    **{
        f"a held payment whose case {what}": (f"update money_case set {to} where payment = '{{held}}'", "payment {held}")
        for what, to in {
            "is resolved": "status = 'RESOLVED'", "moves no money": "kind = 'SETTLEMENT'",
            "is about less": "amount = amount - 1", "is about Revenue's record": "kind = 'RECORD_REFUSED'",
            "is about a refund": "kind = 'REFUND_UNKNOWN'",
        }.items()
    },
    "a live payment's amount": ("update payment set amount = amount + 1 where id = '{open}'", "payment {open}"),
    "a payment deleted": ("delete from payment where id = '{cash}'", "payment {cash}"),
    "a live payment deleted": ("delete from payment where id = '{open}'", "payment {open}"),
    "a payment deleted with all about it": ("delete from payment_record where payment = '{cash}'; delete from payment_item where payment = '{cash}'; delete from payment where id = '{cash}'", "payment {cash}"),
    "a payment inserted": ("insert into payment select (jsonb_populate_record(p, '{{\"id\": \"TXN_NEW\", \"receipt_token\": \"new\"}}')).* from payment p where id = '{expired}'", "payment TXN_NEW"),
    "another attempt": ("update attempt set reference = 'OTHER' where payment = '{paid}'", "payment {paid}"),
    "an item's amount": ("update payment_item set amount = amount + 1 where id = {item}", "payment {cash}"),
    "another bill": ("update payment_item set item_id = 'U1' where id = {item}", "payment {cash}"),
    "an item deleted": ("delete from payment_item where id = {item}", "payment {cash}"),
    "an item inserted": ("insert into payment_item (id, payment, contract_number, type, item_id, amount, locked) select 9999, payment, contract_number, type, 'U2', 1, true from payment_item where id = {item}", "payment {cash}"),
    "a paid bill unlocked": ("update payment_item set locked = false where id = {item}", "payment_item {item}"),
    "a limit used more": ("update staff_limit set own_used = own_used + 1 where id = {limit}", "staff_limit {limit}"),
    "a limit reserved more": ("update staff_limit set reserved = reserved + 1 where id = {limit}", "staff_limit {limit}"),
    "a hand-in that expects less": ("update hand_in set expected = expected - 1", "hand_in {hand_in}"),
    "a hand-in counted otherwise": ("update hand_in set counted = counted + 1000", "hand_in {hand_in}"),
    "a hand-in open again": ("update hand_in set status = 'SUBMITTED', counted = null", "payment {handed}"),
    "cash that was never handed in": ("update payment set custody = 'HELD_BY_STAFF', hand_in = null where id = '{handed}'", "staff {staff}"),
    "a key of nothing": ("update idempotency_key set subject_id = 'TXN_NONE' where id = {key}", "idempotency_key {key}"),
    "a job lost": ("delete from pgqueuer where entrypoint = 'record_payment'", "payment {cash}"),
    "a follow-up lost beside one of nothing": ("update pgqueuer set payload = '{{}}' where entrypoint = 'follow_up'", "payment {open}"),
    "a follow-up lost": ("delete from pgqueuer where entrypoint = 'follow_up'", "payment {open}"),
}  # fmt: skip
REVERSALS = {
    **{
        f"a refund's {column}": (f"update reversal set {column} = {to} where id = '{{part}}'", "reversal {part}")
        for column, to in {
            "amount": "amount + 1", "source": "'suspense'", "status": "'FAILED'", "payment": "'{paid}'",
            "reason": "'x'", "requested_by": "'NV001'", "approved_by": "'NV001'", "currency": "'USD'",
            "share": "1, share_currency = 'USD'",
        }.items()
    },
    "a refund that did not fail": ("update reversal set status = 'DONE' where id = '{failed}'", "reversal {failed}"),
    "a refund begun again": ("update reversal set status = 'PENDING', completed_at = null where id = '{whole}'", "reversal {whole}"),
    "a refund deleted": ("delete from reversal where id = '{part}'", "reversal {part}"),
    "a refund inserted": ("insert into reversal select (jsonb_populate_record(r, '{{\"id\": \"REV_NEW\"}}')).* from reversal r where id = '{part}'", "reversal REV_NEW"),
    "a void that failed": ("update reversal set status = 'FAILED' where id = '{void}'", "reversal {void}"),
    "a void made a refund": ("update reversal set kind = 'REFUND' where id = '{void}'", "reversal {void}"),
    "a void deleted": ("delete from reversal where id = '{void}'", "reversal {void}"),
}  # fmt: skip
PROOFS = {
    "a record's text": ("update payment_record set payload = replace(payload, 'VND', 'USD') where id = {record}", "payment_record {record}"),
    "a record's signature": ("update payment_record set signature = '\\x00' where id = {record}", "payment_record {record}"),
    "a record's key": ("update payment_record set key_id = 'another' where id = {record}", "payment_record {record}"),
    "a record's version": ("update payment_record set version = version + 1 where id = {record}", "payment_record {record}"),
    "a record inserted": ("insert into payment_record select 9999, payment, version + 1, payload, key_id, signature, signed_at from payment_record where id = {record}", "payment_record 9999"),
    "a record deleted": ("delete from payment_record where id = {record}", "payment {cash}"),
    "a payment and its record": ("update payment set amount = amount + 1 where id = '{cash}'; update payment_record set payload = replace(payload, '\"amount\":', '\"amount\":1') where id = {record}", "payment_record {record}"),
    **{
        f"an audit row's {column}": (f"update audit_event set {column} = {to} where id = {{audit}}", "audit_event {audit}")
        for column, to in {
            "at": "at + interval '1 microsecond'", "actor": "'NV001'", "action": "'x'", "outcome": "'FAILED'",
            "payment_id": "null", "from_status": "null", "to_status": "'FAILED'", "evidence": "'FOUR_EYES'",
            "source": "''", "event_id": "''", "request_id": "'x'", "details": "details || '{{\"x\": 1}}'",
            "txid": "txid + 1",
        }.items()
    },
    "an audit row deleted": ("delete from audit_event where id = {audit}", "audit_event {audit}"),
    "an audit row inserted behind": ("insert into audit_event (id, at, actor, action, outcome, details, txid) values (9999, now(), 'NV001', 'x', 'DONE', '{{}}', 5)", "audit_event 9999"),
    "an audit row inserted before": ("insert into audit_event (id, at, actor, action, outcome, details, txid) values (9999, now(), 'NV001', 'x', 'DONE', '{{}}', 5); insert into audit_link (number, event, prev_hash, hash) values (0, 9999, '\\x02', '\\x03')", "audit_link 0"),
    "two audit rows reordered": ("update audit_link set event = -event where number in (3, {link}); update audit_link set event = (select -sum(o.event) + audit_link.event from audit_link o where o.number in (3, {link})) where number in (3, {link})", "audit_event {other_audit}"),
    "an audit row and its link": ("delete from audit_event where id = (select event from audit_link where number = {link}); delete from audit_link where number = {link}", "audit_link {after_link}"),
    "a link's hash": ("update audit_link set hash = '\\x01' where number = {link}", "audit_link {after_link}"),
    "a link's number": ("update audit_link set number = 9999 where number = {link}", "audit_link {after_link}"),
    "a seal's head": ("update seal set head = '\\x01' where id = {seal}", "seal {seal}"),
    "a seal's signature": ("update seal set signature = '\\x01' where id = {seal}", "seal {seal}"),
    "a seal deleted": ("delete from seal where id = {seal}", "seal {after_seal}"),
    "the last seal deleted": ("delete from seal where id = {last_seal}", "audit_link {last_link}"),
    "the tail cut off": ("delete from audit_event where id in (select event from audit_link where number >= (select first from seal where id = {last_seal})); delete from audit_link where number >= (select first from seal where id = {last_seal}); delete from seal where id = {last_seal}", "audit_link {last_link}"),
    "the chain begun anew": ("delete from seal; delete from audit_link", "audit_link {last_link}"),
}  # fmt: skip
TAMPERING = LEDGER | PAYMENTS | REVERSALS | PROOFS


@pytest.mark.parametrize("what", TAMPERING)
@pytest.mark.invariant(18, 27, 31)
async def test_a_changed_row_is_named_by_table_and_key(day: Day, what: str) -> None:
    ids = day.ids | {
        "after_link": str(int(day.ids["link"]) + 1),
        "after_seal": str(int(day.ids["seal"]) + 1),
    }
    done, named = (text.format(**ids) for text in TAMPERING[what])
    found = broken(await day.proved(done))
    rows = [row.partition(":")[0] for rows in found.values() for row in rows]
    assert named in rows, found
