"""
After each random operation every invariant holds, and a case can move all suspense.

A failing run prints its steps; PROOF_SEED repeats it, WALKS and WALK_STEPS make it longer.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from db import cases, engine
from db.invariants import checks
from domain.cases import CaseDecision
from domain.invariants import InvariantName
from domain.money import Currency
from tests.crash.judge import broken
from tests.model.random_steps import RandomSteps
from tests.support.backend import Backend, backend
from tests.support.proof import dice

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio
__all__ = ["backend"]

RUNS = int(os.environ.get("WALKS") or 3)
STEPS = int(os.environ.get("WALK_STEPS") or 40)
# Other tests check the chain and its seals; signatures are not checked by rows.
CHECKED = [
    name
    for name in InvariantName
    if name not in {InvariantName.CHAIN, InvariantName.SEALS, InvariantName.SIGNATURES}
]
SUSPENSE = """
select e.payment, t.currency,
       sum(case when t.credit = 'suspense' then t.amount else -t.amount end)::bigint as amount
  from entry e join posting t on t.entry = e.id
 where e.payment = any($1) and 'suspense' in (t.debit, t.credit) group by 1, 2
having sum(case when t.credit = 'suspense' then t.amount else -t.amount end) <> 0
"""
ARRIVED = """
select e.payment, t.currency, sum(t.amount)::bigint as amount
  from entry e join posting t on t.entry = e.id
 where e.payment = any($1) and e.reversal is null
   and (t.debit = 'bank' or t.debit like 'gateway_clearing:%')
 group by 1, 2
"""


@pytest.mark.parametrize("run", range(RUNS))
async def test_after_random_operations_every_invariant_holds_and_no_money_is_stuck(
    backend: Backend, tmp_path: Path, run: int
) -> None:
    steps = RandomSteps(backend, dice("walk", run), tmp_path)
    await steps.begin()
    for _ in range(STEPS):
        await steps.step()
        found = [*await violations(), *await stuck(steps), *await booked_too_often(steps)]
        assert found == [], "\n".join(steps.log)


async def violations() -> list[str]:
    connection = await engine.own_connection()
    try:
        found = [(name, await checks.violations(connection, name)) for name in CHECKED]
        rows = [f"{name}: {row.row} {row.why}" for name, (_, rows) in found for row in rows]
        return rows + await broken(connection, at_rest=False)
    finally:
        await connection.close()


async def stuck(steps: RandomSteps) -> list[str]:
    """Return the money in suspense that the open cases cannot refund in full."""
    found: list[str] = []
    for row in await engine.fetch(SUSPENSE, steps.ids):
        sql = "select id from money_case where payment = $1 and status <> 'RESOLVED'"
        ids = [case["id"] for case in await engine.fetch(sql, row["payment"])]
        known = [await cases.by_id(id, steps.backend.clock.at) for id in ids]
        refundable = [
            case for case in known if case is not None and CaseDecision.REFUND in case.choices
        ]
        enough = (
            sum(case.undecided_amount for case in refundable) >= row["amount"]
            if row["currency"] == Currency.VND
            else any(case.foreign_money for case in refundable)
        )
        if not enough:
            found.append(f"{row['amount']} {row['currency']} of {row['payment']} is stuck")
    return found


async def booked_too_often(steps: RandomSteps) -> list[str]:
    """Return the payments of which the ledger holds more than evidence has named."""
    return [
        f"{row['amount']} {row['currency']} is booked of {row['payment']}, evidence names {most}"
        for row in await engine.fetch(ARRIVED, steps.ids)
        if row["payment"] not in steps.asserted
        and row["amount"]
        > (most := _evidence_sum(steps, row["payment"], Currency(row["currency"])))
    ]


def _evidence_sum(steps: RandomSteps, payment_id: str, currency: Currency) -> int:
    sums = steps.evidence_sums[payment_id].items()
    return sum(amount for (_, paid_in), amount in sums if paid_in is currency)
