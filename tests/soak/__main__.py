"""
`make soak`: mixed load on a stack of its own, with faults and a worker that is killed.

    python -m tests.soak [SECONDS]

Then the faults end, all due jobs run, and the database is compared with the outer systems. It
prints counts, latencies and violations, and exits 0 only without violations.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog

from db.migrate import migrate
from integrations.embedded import servers, wait_until_stopped
from mobinet.bootstrap import process_context
from mobinet.settings import load
from tests.crash.due_jobs import run_due_jobs
from tests.crash.judge import violations
from tests.support.stack.client import Client, TopLevelErrors, new_key
from tests.support.stack.processes import Process, Stack, started
from tests.support.stack.sandbox import Sandbox

SEED = int(os.environ.get("SOAK_SEED") or secrets.randbelow(10**6))
COLLECTORS = 6
QR_LIFETIME = 30  # seconds
FAULTY_SYSTEMS = ("vnpay", "fpt_pay", "revenue", "debt", "hifpt", "sms")
WORKER_LIFETIME = 20.0  # seconds, until it is killed


@dataclass
class Report:
    """What happened, how often and how fast; `faults` are answers that no client may get."""

    counts: Counter[str] = field(default_factory=Counter)
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    faults: list[str] = field(default_factory=list)

    def show(self) -> None:
        print(f"{'what':<24}{'times':>7}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}")
        for name, times in sorted(self.counts.items()):
            seconds = sorted(self.seconds.get(name, []))
            columns = (
                [f"{1000 * seconds[int(q * (len(seconds) - 1))]:9.0f}" for q in (0.5, 0.95, 1)]
                if seconds
                else []
            )
            print(f"{name:<24}{times:>7}{''.join(columns)}")


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 600.0
    folder = Path(tempfile.mkdtemp(prefix="mobinet-soak-"))
    print(f"{seconds:.0f} s, SOAK_SEED={SEED}", flush=True)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        with servers(folder) as embedded:
            asyncio.run(migrate(embedded.postgres_url))
            stack = Stack.create(
                folder / "stack",
                database_url=embedded.postgres_url,
                redis_url=f"{embedded.valkey_url}?db=1",
            )
            stack.env |= {
                "MOBINET_QR_LIFETIME": str(QR_LIFETIME),
                "MOBINET_SANDBOX__TIME_SCALE": "3000",
            }
            stack.folder.mkdir()
            return asyncio.run(_soak(stack, seconds))
    finally:
        wait_until_stopped(folder)
        shutil.rmtree(folder, ignore_errors=True)


async def _soak(stack: Stack, seconds: float) -> int:
    report = Report()
    sandbox = stack._process(
        "sandbox", "-m", "sandbox", url=stack.sandbox_url, ready_url="/healthz"
    )
    api = stack._process("api", "-m", "mobinet", "serve", url=stack.url, ready_url="/readyz")
    with started(sandbox):
        with started(api):
            async with Sandbox(stack.sandbox_url) as outer_systems:
                await _load(stack, outer_systems, seconds, report)
                await outer_systems.reset()
        await _run_due_jobs(stack, report)
        truth = httpx.get(f"{stack.sandbox_url}/_sandbox/truth", trust_env=False, timeout=60).json()
    found = await asyncio.to_thread(violations, stack.env["MOBINET_DATABASE_URL"], truth)
    report.show()
    for problem in (*report.faults[:20], *found[:50]):
        print(f"✗ {problem}")
    print(f"{len(found)} violations, {len(report.faults)} answers that no client may get")
    return 1 if found or report.faults else 0


async def _load(stack: Stack, sandbox: Sandbox, seconds: float, report: Report) -> None:
    end = time.monotonic() + seconds
    worker = stack._process("worker", "-m", "mobinet", "work")
    contracts = iter(number for number in range(2000, 12000) if (number - 2000) % 40 != 39)
    try:
        await asyncio.gather(
            _kill_worker(worker, end, report),
            _order_faults(sandbox, end, report),
            *(_collect(stack, sandbox, nth, contracts, end, report) for nth in range(COLLECTORS)),
        )
    finally:
        worker.kill()


async def _collect(
    stack: Stack, sandbox: Sandbox, nth: int, contracts: Any, end: float, report: Report
) -> None:
    """Let a member of staff collect from one customer after the other."""
    dice = random.Random(f"{SEED} {nth}")
    payers: set[asyncio.Task[None]] = set()
    async with Client(stack.url) as client:
        await client.log_in(f"NV{1000 + nth}")
        renew = time.monotonic() + 600
        while time.monotonic() < end:
            if time.monotonic() > renew:
                await client.log_in(f"NV{1000 + nth}")
                renew = time.monotonic() + 600
            what = dice.choices(["CASH", "VNPAY_QR", "FPT_PAY", "hand in"], weights=[5, 6, 3, 1])[0]
            started = time.monotonic()
            try:
                if what == "hand in":
                    given = {"idempotencyKey": new_key(), "countedAmount": 1, "note": None}
                    payload = await client.execute("SubmitHandIn", input=given)
                    codes = [refusal["code"] for refusal in payload["errors"]]
                else:
                    codes = await _visit(client, sandbox, what, next(contracts), dice, payers)
            except TopLevelErrors as error:
                codes = [str(code) for code in error.codes]
                if set(error.codes) - {"UPSTREAM_UNAVAILABLE", "GATEWAY_UNAVAILABLE"}:
                    report.faults.append(str(error))
            report.counts[" ".join([what, *codes])] += 1
            report.seconds[" ".join([what, *codes])].append(time.monotonic() - started)
        await asyncio.gather(*payers)


async def _visit(
    client: Client,
    sandbox: Sandbox,
    method: str,
    number: int,
    dice: random.Random,
    payers: set[asyncio.Task[None]],
) -> list[str]:
    """
    Collect a bill; return the codes of its refusals.

    The customer pays the amount, another amount, repeatedly or not at all; some payments are
    cancelled.
    """
    contract = f"SGFDN{number}"
    customer = await client.execute("CustomerBills", contractNumber=contract)
    key = new_key()
    payload = await client.process(contract, method, customer["bills"][0], key=key)
    if dice.random() < 0.1:
        payload = await client.process(contract, method, customer["bills"][0], key=key)
    payment = payload["payment"]
    if payment is None:
        return [refusal["code"] for refusal in payload["errors"]]
    if method == "CASH" or payment["status"] not in ("PENDING", "PROCESSING"):
        return []
    amount = payment["amount"] + dice.choice([0, 0, 0, 0, 0, -1000, 1000])
    act: dict[str, Any] = {
        "amount": amount,
        "drop_webhook": dice.random() < 0.2,
        "repeat": dice.choice([1, 1, 1, 3]),
        "bad_signature": dice.random() < 0.05,
        "webhook_delay": dice.choice([0, 0, 1, 3]),
        "wait": False,
    }
    if dice.random() < 0.7 and (payment["qr"] or payment["paymentUrl"]):
        target = (
            {"qr": payment["qr"]["payload"]}
            if payment["qr"]
            else {"payment_url": payment["paymentUrl"]}
        )
        task = asyncio.ensure_future(_pay(sandbox, act | target))
        payers.add(task)
        task.add_done_callback(payers.discard)
    if dice.random() < 0.2:
        await client.execute("CancelPayment", id=payment["id"], reason="customer left")
    return []


async def _pay(sandbox: Sandbox, act: dict[str, Any]) -> None:
    await sandbox.pay(**act)


async def _kill_worker(worker: Process, end: float, report: Report) -> None:
    """Kill the worker every WORKER_LIFETIME seconds and start it again."""
    while time.monotonic() < end:
        worker.start()
        await asyncio.sleep(min(WORKER_LIFETIME, max(0.0, end - time.monotonic())))
        worker.kill()
        report.counts["the worker was killed"] += 1


async def _order_faults(sandbox: Sandbox, end: float, report: Report) -> None:
    """Order faults for 15 seconds, then none for 5 seconds, repeatedly."""
    dice = random.Random(SEED)
    while time.monotonic() < end:
        for system in FAULTY_SYSTEMS:
            fault = dice.choice(["reset", "500", "truncated", "slow"])
            await sandbox.order_fault(
                system,
                fault,
                probability=0.15,
                after_processing=dice.random() < 0.5,
                seconds=1.0 if fault == "slow" else None,
            )
        report.counts["faults were ordered"] += 1
        await asyncio.sleep(min(15.0, max(0.0, end - time.monotonic())))
        await sandbox.reset()
        await asyncio.sleep(min(5.0, max(0.0, end - time.monotonic())))


async def _run_due_jobs(stack: Stack, report: Report) -> None:
    """Run all jobs that are still due, with a clock that moves instead of waiting."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.env.items():
            patch.setenv(name, value)
        async with process_context(load()) as context:
            run = await run_due_jobs(context)
    report.counts["jobs after the load"] += run.ran
    report.faults += run.failed


if __name__ == "__main__":
    sys.exit(main())
