"""
After each step of whoever does anything: every invariant holds, and no money is where nobody can move it.

A failing walk prints its steps; PROOF_SEED repeats it, WALKS and WALK_STEPS make it longer.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from db import cases, engine
from db.invariants import checks as kept
from domain.cases import CaseDecision
from domain.invariants import InvariantName
from domain.money import Currency
from tests.crash.judge import broken
from tests.model.walker import Walker
from tests.support.backend import Backend, backend
from tests.support.proof import dice

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio
__all__ = ["backend"]

WALKS = int(os.environ.get("WALKS") or 3)
STEPS = int(os.environ.get("WALK_STEPS") or 40)
# The chain and its seals are other tests'; the signatures are never asked for by rows.
ASKED = [
    name
    for name in InvariantName
    if name not in {InvariantName.CHAIN, InvariantName.SEALS, InvariantName.SIGNATURES}
]
SUSPENSE = """
select e.payment, t.currency, sum(case when t.credit = 'suspense' then t.amount else -t.amount end)::bigint as amount
  from entry e join posting t on t.entry = e.id
 where e.payment = any($1) and 'suspense' in (t.debit, t.credit) group by 1, 2
having sum(case when t.credit = 'suspense' then t.amount else -t.amount end) <> 0
"""
ARRIVED = """
select e.payment, t.currency, sum(t.amount)::bigint as amount from entry e join posting t on t.entry = e.id
 where e.payment = any($1) and e.reversal is null and (t.debit = 'bank' or t.debit like 'gateway_clearing:%')
 group by 1, 2
"""


@pytest.mark.parametrize("walk", range(WALKS))
async def test_whatever_is_done_and_said_in_whatever_order_nothing_is_left_without_an_owner(
    backend: Backend, tmp_path: Path, walk: int
) -> None:
    walker = Walker(backend, dice("walk", walk), tmp_path)
    await walker.begin()
    for _ in range(STEPS):
        await walker.step()
        wrong = [*await violations(), *await stuck(walker), *await booked_too_often(walker)]
        assert wrong == [], "\n".join(walker.done)


async def violations() -> list[str]:
    connection = await engine.own_connection()
    try:
        found = [(name, await kept.violations(connection, name)) for name in ASKED]
        rows = [f"{name}: {row.row} {row.why}" for name, (_, rows) in found for row in rows]
        return rows + await broken(connection, at_rest=False)
    finally:
        await connection.close()


async def stuck(walker: Walker) -> list[str]:
    """Say which money waits for people whom no open case lets move all of it."""
    found: list[str] = []
    for row in await engine.fetch(SUSPENSE, walker.ids):
        sql = "select id from money_case where payment = $1 and status <> 'RESOLVED'"
        ids = [item["id"] for item in await engine.fetch(sql, row["payment"])]
        known = [await cases.by_id(item, walker.backend.clock.at) for item in ids]
        about = [item for item in known if item is not None and CaseDecision.REFUND in item.choices]
        dong = row["currency"] == Currency.VND
        enough = (
            sum(item.waiting for item in about) >= row["amount"]
            if dong
            else any(item.foreign for item in about)
        )
        if not enough:
            found.append(f"{row['amount']} {row['currency']} of {row['payment']} is stuck")
    return found


async def booked_too_often(walker: Walker) -> list[str]:
    return [
        f"{row['amount']} {row['currency']} is booked of {row['payment']}, of which {most} was told"
        for row in await engine.fetch(ARRIVED, walker.ids)
        if row["payment"] not in walker.asserted
        and row["amount"] > (most := _told(walker, row["payment"], Currency(row["currency"])))
    ]


def _told(walker: Walker, payment_id: str, currency: Currency) -> int:
    told = walker.told[payment_id].items()
    return sum(amount for (_, of), amount in told if of is currency)
