"""The checks hold for an untouched database, and name each row that somebody changed."""

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
from tests.unit.resolvers.tampering import TAMPERING

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


@dataclass
class Day:
    """A sealed database in which every operation happened once, and the ids of its rows."""

    database: str
    keys: KeyRing
    heads: Heads
    ids: dict[str, str]

    async def check_after(self, statements: str = "") -> dict[InvariantName, Invariant]:
        """Check everything after the owner's *statements*, which are rolled back."""
        connection: Any = await asyncpg.connect(self.database)
        await connection.transaction().start()
        try:
            await connection.execute(
                f"set local session_replication_role = replica; {statements};"
                " set local role mobinet_app"
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

    async def make_day() -> dict[str, str]:
        async with process_context(api_settings) as context:
            clock, gateway = Clock(await context.clock()), StubGateway()
            own_context = replace(context, clock=clock, gateways=Gateways([gateway]), heads=heads)
            contracts = iter(range(3000, 3030))
            collectors = iter(range(1300, 1310))
            backend = Backend(
                own_context, clock, gateway, sandbox, contracts, collectors, context.gateways
            )
            ids = await make_payments(backend)
            await other_tests_are_done()
            while await sealing.seal(own_context, most=10):
                pass
            return ids | await rows_of(ids)

    ids = asyncio.run(make_day())
    return Day(module_database, keys_of(api_settings).receipts, heads, ids)


async def make_payments(backend: Backend) -> dict[str, str]:
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
        "handed": handed,
        "cash": cash,
        "paid": paid,
        "expired": expired,
        "late": late,
        "open": open_,
    }
    ids |= {name: payment.id for name, payment in payments.items()}
    states = {
        name: (await backend.reload(payment)).status.value for name, payment in payments.items()
    }
    assert states == {
        "handed": "SUCCESS", "cash": "SUCCESS", "paid": "SUCCESS", "expired": "EXPIRED",
        "late": "SUCCESS", "open": "PROCESSING",
    }  # fmt: skip
    ids |= {"hand_in": hand_in.id, "held": await make_held_payment(backend, by)}
    return ids | await make_reversals(backend, by)


async def make_held_payment(backend: Backend, by: Context) -> str:
    """Make a payment with too little money, which two people must decide; return its id."""
    little = await backend.new_payment(by)
    assert little.attempt is not None
    money = replace(little.money, amount=little.amount - 1000)
    evidence = Evidence(
        source=EvidenceSource.INQUIRY, origin="test", result=GatewayResult.PAID, money=money
    )
    applied = await payment_evidence.apply(backend.context, little.attempt.reference, evidence)
    assert applied.payment.hold_reason is HoldReason.AMOUNT_MISMATCH
    return little.id


async def make_reversals(backend: Backend, by: Context) -> dict[str, str]:
    """Make a void, a whole, a partial and a failed refund; return their ids."""
    finance = await backend.as_staff("FI001")

    async def refund(result: GatewayResult, part: int = 1) -> ReversalResult:
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
        "whole": await refund(GatewayResult.PAID),
        "part": await refund(GatewayResult.PAID, 2),
        "failed": await refund(GatewayResult.DECLINED),
    }
    states = {name: item.reversal.status.value for name, item in done.items()}
    assert states == {"void": "DONE", "whole": "DONE", "part": "DONE", "failed": "FAILED"}
    # Revenue and Debt can now be notified of the void.
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


def broken_rows(found: dict[InvariantName, Invariant]) -> dict[str, list[str]]:
    return {
        name.value: [f"{row.table} {row.row}: {row.why}" for row in item.rows]
        for name, item in found.items()
        if not item.holds
    }


async def test_every_invariant_holds_where_every_operation_happened_once(day: Day) -> None:
    found = await day.check_after()
    assert broken_rows(found) == {}
    assert set(found) == set(InvariantName)


# ── tampering ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("what", TAMPERING)
@pytest.mark.invariant(18, 27, 31)
async def test_a_changed_row_is_named_by_table_and_key(day: Day, what: str) -> None:
    ids = day.ids | {
        "after_link": str(int(day.ids["link"]) + 1),
        "after_seal": str(int(day.ids["seal"]) + 1),
    }
    statements, row = (text.format(**ids) for text in TAMPERING[what])
    found = broken_rows(await day.check_after(statements))
    rows = [line.partition(":")[0] for lines in found.values() for line in lines]
    assert row in rows, found
