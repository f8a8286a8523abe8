"""
`make soak`: ten minutes of mixed load on a stack of its own, with faults in every outer system and a worker that dies.

    python -m tests.soak [SECONDS]

Then the faults end, whatever is still due is done, and the database and the outer systems are
compared. Prints counts, latencies and violations; exits 0 only if there is none.
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
from integrations.embedded import gone, servers
from mobinet.bootstrap import running
from mobinet.settings import load
from tests.crash.due_jobs import run_due_jobs
from tests.crash.judge import violations
from tests.support.stack.client import Client, TopLevelErrors, new_key
from tests.support.stack.processes import Process, Stack, started
from tests.support.stack.sandbox import Sandbox

SEED = int(os.environ.get("SOAK_SEED") or secrets.randbelow(10**6))
COLLECTORS = 6
QR_LIFETIME = 30  # seconds
BREAKABLE = ("vnpay", "fpt_pay", "revenue", "debt", "hifpt", "sms")
WORKER_LIVES = 20.0  # seconds, until it is killed


@dataclass
class Report:
    did: Counter[str] = field(default_factory=Counter)
    took: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    odd: list[str] = field(default_factory=list)

    def tell(self) -> None:
        print(f"{'what':<24}{'times':>7}{'p50 ms':>9}{'p95 ms':>9}{'max ms':>9}")
        for name, times in sorted(self.did.items()):
            took = sorted(self.took.get(name, []))
            shown = (
                [f"{1000 * took[int(part * (len(took) - 1))]:9.0f}" for part in (0.5, 0.95, 1)]
                if took
                else []
            )
            print(f"{name:<24}{times:>7}{''.join(shown)}")


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
        gone(folder)
        shutil.rmtree(folder, ignore_errors=True)


async def _soak(stack: Stack, seconds: float) -> int:
    report = Report()
    sandbox = stack._process(
        "sandbox", "-m", "sandbox", url=stack.sandbox_url, ready_url="/healthz"
    )
    api = stack._process("api", "-m", "mobinet", "serve", url=stack.url, ready_url="/readyz")
    with started(sandbox):
        with started(api):
            async with Sandbox(stack.sandbox_url) as outside:
                await _load(stack, outside, seconds, report)
                await outside.mends()
        await _rest(stack, report)
        truth = httpx.get(f"{stack.sandbox_url}/_sandbox/truth", trust_env=False, timeout=60).json()
    wrong = await asyncio.to_thread(violations, stack.env["MOBINET_DATABASE_URL"], truth)
    report.tell()
    for item in (*report.odd[:20], *wrong[:50]):
        print(f"✗ {item}")
    print(f"{len(wrong)} violations, {len(report.odd)} answers that no client should get")
    return 1 if wrong or report.odd else 0


async def _load(stack: Stack, outside: Sandbox, seconds: float, report: Report) -> None:
    end = time.monotonic() + seconds
    worker = stack._process("worker", "-m", "mobinet", "work")
    contracts = iter(number for number in range(2000, 12000) if (number - 2000) % 40 != 39)
    try:
        await asyncio.gather(
            _dying(worker, end, report),
            _breaking(outside, end, report),
            *(_collector(stack, outside, nth, contracts, end, report) for nth in range(COLLECTORS)),
        )
    finally:
        worker.kill()


async def _collector(
    stack: Stack, outside: Sandbox, nth: int, contracts: Any, end: float, report: Report
) -> None:
    """One member of staff at work, one customer after the other."""
    dice = random.Random(f"{SEED} {nth}")
    make_customer: set[asyncio.Task[None]] = set()
    async with Client(stack.url) as client:
        await client.log_in(f"NV{1000 + nth}")
        renew = time.monotonic() + 600
        while time.monotonic() < end:
            if time.monotonic() > renew:
                await client.log_in(f"NV{1000 + nth}")
                renew = time.monotonic() + 600
            what = dice.choices(["CASH", "VNPAY_QR", "FPT_PAY", "hand in"], weights=[5, 6, 3, 1])[0]
            begun = time.monotonic()
            try:
                if what == "hand in":
                    given = {"idempotencyKey": new_key(), "countedAmount": 1, "note": None}
                    told = await client.execute("SubmitHandIn", input=given)
                    said = [no["code"] for no in told["errors"]]
                else:
                    said = await _visit(client, outside, what, next(contracts), dice, make_customer)
            except TopLevelErrors as no:
                said = [str(code) for code in no.codes]
                if set(no.codes) - {"UPSTREAM_UNAVAILABLE", "GATEWAY_UNAVAILABLE"}:
                    report.odd.append(str(no))
            report.did[" ".join([what, *said])] += 1
            report.took[" ".join([what, *said])].append(time.monotonic() - begun)
        await asyncio.gather(*make_customer)


async def _visit(
    client: Client,
    outside: Sandbox,
    method: str,
    number: int,
    dice: random.Random,
    make_customer: set[asyncio.Task[None]],
) -> list[str]:
    """Collect a bill; its customer pays, too little, twice, or not at all, and sometimes it is cancelled."""
    contract = f"SGFDN{number}"
    told = await client.execute("CustomerBills", contractNumber=contract)
    key = new_key()
    payload = await client.process(contract, method, told["bills"][0], key=key)
    if dice.random() < 0.1:
        payload = await client.process(contract, method, told["bills"][0], key=key)
    payment = payload["payment"]
    if payment is None:
        return [no["code"] for no in payload["errors"]]
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
        road = (
            {"qr": payment["qr"]["payload"]}
            if payment["qr"]
            else {"payment_url": payment["paymentUrl"]}
        )
        task = asyncio.ensure_future(_pays(outside, act | road))
        make_customer.add(task)
        task.add_done_callback(make_customer.discard)
    if dice.random() < 0.2:
        await client.execute("CancelPayment", id=payment["id"], reason="left the house")
    return []


async def _pays(outside: Sandbox, act: dict[str, Any]) -> None:
    await outside.pays(**act)


async def _dying(worker: Process, end: float, report: Report) -> None:
    """A worker that is killed every now and then, and started anew by its supervisor."""
    while time.monotonic() < end:
        worker.start()
        await asyncio.sleep(min(WORKER_LIVES, max(0.0, end - time.monotonic())))
        worker.kill()
        report.did["the worker was killed"] += 1


async def _breaking(outside: Sandbox, end: float, report: Report) -> None:
    """Faults for a while, then none for a while."""
    dice = random.Random(SEED)
    while time.monotonic() < end:
        for system in BREAKABLE:
            fault = dice.choice(["reset", "500", "truncated", "slow"])
            await outside.breaks(
                system,
                fault,
                probability=0.15,
                after_processing=dice.random() < 0.5,
                seconds=1.0 if fault == "slow" else None,
            )
        report.did["faults were ordered"] += 1
        await asyncio.sleep(min(15.0, max(0.0, end - time.monotonic())))
        await outside.mends()
        await asyncio.sleep(min(5.0, max(0.0, end - time.monotonic())))


async def _rest(stack: Stack, report: Report) -> None:
    """Do all that is still due, by a clock that does not wait."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.env.items():
            patch.setenv(name, value)
        async with running(load()) as context:
            passed = await run_due_jobs(context)
    report.did["jobs after the load"] += passed.ran
    report.odd += passed.failed


if __name__ == "__main__":
    sys.exit(main())
