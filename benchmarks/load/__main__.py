"""
`make load`: visits that arrive at a fixed rate, and then a check of every payment.

    python -m benchmarks.load [--per-minute 600] [--minutes 1] [--ramp 10] [--faults 0.05] …
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uvloop

from benchmarks.client.http import get
from benchmarks.client.pool import Pool
from benchmarks.engine import EngineError, engine
from benchmarks.files import allow_files
from benchmarks.load import truth
from benchmarks.load.figures import Figures
from benchmarks.load.visits import World, visit
from benchmarks.pinned import ours
from benchmarks.processes import cancel_on_sigterm
from benchmarks.stack import Stack, StackError
from benchmarks.supply import Supply, SupplyError, once

_SYSTEMS = ("vnpay", "momo", "stripe", "fpt_pay", "customer", "revenue", "debt", "hifpt", "sms")
_FAULTS = ("reset", "500", "truncated", "slow")
_FAULT_SECONDS, _PAUSE_SECONDS = 15.0, 5.0
_MAX_SHOWN = 30
# Webhooks are repeated soon and QRs expire soon, so that a drain takes only minutes.
_SETTINGS = {"SANDBOX__TIME_SCALE": "60", "QR_LIFETIME": "120"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The arrivals, faults and clients of a load. Times are in seconds, but for *minutes*."""

    per_minute: float
    minutes: float
    ramp: float
    drain: float
    faults: float
    """The probability of a fault in a request to a broken system; 0 for no faults."""
    collectors: int
    patience: float
    seed: int

    @property
    def seconds(self) -> float:
        return 60 * self.minutes

    def arrivals(self, elapsed: float) -> float:
        """Return how many visits have arrived after *elapsed* seconds; the rate ramps up."""
        rate = self.per_minute / 60
        rising = min(elapsed, self.ramp)
        risen = rate * rising**2 / (2 * self.ramp) if self.ramp else 0.0
        return risen + rate * max(elapsed - self.ramp, 0.0)


def main() -> int:
    plan = _plan()
    allow_files()
    folder = Path(tempfile.mkdtemp(prefix="mobinet-load-"))
    try:
        return uvloop.run(_run(plan, folder))
    except (StackError, EngineError, SupplyError) as error:
        print(error)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plan() -> Plan:
    parser = argparse.ArgumentParser(prog="make load")
    parser.add_argument("--per-minute", type=float, default=600, help="arriving visits")
    parser.add_argument("--minutes", type=float, default=1.0, help="length of the arrivals")
    parser.add_argument("--ramp", type=float, default=10.0, help="seconds until the rate is full")
    parser.add_argument(
        "--drain", type=float, default=420.0, help="maximum seconds after the arrivals"
    )
    parser.add_argument(
        "--faults", type=float, default=0.05, help="probability of a fault; 0 for none"
    )
    parser.add_argument("--collectors", type=int, default=100)
    parser.add_argument(
        "--patience", type=float, default=40.0, help="seconds that a client waits for an answer"
    )
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    return Plan(**vars(parser.parse_args()))


async def _run(plan: Plan, folder: Path) -> int:
    cancel_on_sigterm()
    load = os.getloadavg()[0]
    print(
        f"{plan.per_minute:g} visits a minute for {plan.minutes:g} min, --seed {plan.seed},"
        f" load average {load:.1f}"
    )
    async with engine(folder / "servers", "load") as own:
        stack = Stack.of(ours(Path(sys.executable)), own, folder / "stack", **_SETTINGS)
        try:
            await stack.run("migrate")
            await stack.start()
            await stack.start_worker()
            return await _load(plan, stack)
        finally:
            await stack.stop()
            stack.kill()


async def _load(plan: Plan, stack: Stack) -> int:
    supply = Supply(stack)
    await supply.log_in(plan.collectors)
    world = World(
        supply=supply,
        api=Pool(stack.api),
        sandbox=Pool(stack.sandbox),
        figures=Figures(),
        rng=random.Random(plan.seed),
        patience=plan.patience,
        until_final=min(plan.drain, 60.0),
        tokens=supply.collectors,
    )
    before, client, begun = stack.cpu(), time.process_time(), time.perf_counter()
    await _arrive(plan, world)
    print(f"all visits have ended after {time.perf_counter() - begun:.0f} s", flush=True)
    await supply.control("reset", {})
    open_payments, jobs, drained = await _drain(plan, stack, world)
    cpu, client = stack.cpu(), time.process_time() - client
    outer_truth = (await once(stack.sandbox, get("/_sandbox/truth"))).json()
    disagreements = await truth.violations(
        stack.engine.database_url, outer_truth, world.figures.intents
    )
    if open_payments or jobs:
        disagreements.append(
            f"after {plan.drain:.0f} s {open_payments} paid payments are open, {jobs} jobs left"
        )
    intents = world.figures.intents
    unanswered = sum(intent.payment_id is None for intent in intents)
    found = await truth.found_without_an_answer(stack.engine.database_url, intents)
    verdict, holds = await _proof(stack)
    _report(world.figures, cpu_by_part(before, cpu), client, drained)
    print(
        f"{unanswered:,} intended payments got no answer; {found:,} of them exist in the database"
    )
    print("\n".join(f"✗ {each}" for each in disagreements[:_MAX_SHOWN]))
    print(f"{len(disagreements)} disagreements with the outer systems; {verdict}")
    return 0 if not disagreements and holds else 1


def cpu_by_part(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {part: after[part] - before[part] for part in after if part in before}


async def _arrive(plan: Plan, world: World) -> None:
    """Start visits as they arrive, inject faults meanwhile, and wait for all visits."""
    visits: set[asyncio.Task[None]] = set()
    injecting = asyncio.create_task(_inject_faults(plan, world.supply))
    try:
        await _begin_visits(plan, world, visits)
        injecting.cancel()
        await world.supply.control("reset", {})
        print(
            f"{world.figures.visits:,} visits have arrived, {len(visits):,} are under way",
            flush=True,
        )
        await asyncio.gather(*visits)
    finally:
        for task in (injecting, *visits):
            task.cancel()


async def _begin_visits(plan: Plan, world: World, visits: set[asyncio.Task[None]]) -> None:
    figures, begun = world.figures, time.perf_counter()

    async def begin() -> None:
        try:
            await visit(world, time.perf_counter())
        except Exception as error:
            figures.fail("visit", f"{type(error).__name__}: {error}")

    while (elapsed := time.perf_counter() - begun) < plan.seconds:
        for _ in range(int(plan.arrivals(elapsed)) - figures.visits):
            task = asyncio.create_task(begin())
            visits.add(task)
            task.add_done_callback(visits.discard)
            figures.visits += 1
        figures.most_open = max(figures.most_open, len(visits))
        await asyncio.sleep(0.01)


async def _inject_faults(plan: Plan, supply: Supply) -> None:
    """Inject faults into all systems for a while, then pause, and repeat."""
    rng = random.Random(plan.seed)
    while plan.faults > 0:
        for system in _SYSTEMS:
            fault = rng.choice(_FAULTS)
            order = {
                "system": system,
                "fault": fault,
                "probability": plan.faults,
                "after_processing": rng.random() < 0.5,
                "seconds": 1.0 if fault == "slow" else None,
            }
            await supply.control("faults", order)
        await asyncio.sleep(_FAULT_SECONDS)
        await supply.control("reset", {})
        await asyncio.sleep(_PAUSE_SECONDS)


async def _drain(plan: Plan, stack: Stack, world: World) -> tuple[int, int, float]:
    """Wait until nothing is due; return open payments, jobs, and the seconds it took."""
    begun = time.monotonic()
    while True:
        open_payments, jobs = await truth.unfinished(
            stack.engine.database_url, world.figures.intents
        )
        took = time.monotonic() - begun
        if not (open_payments or jobs) or took > plan.drain:
            return open_payments, jobs, took
        await asyncio.sleep(0.5)


async def _proof(stack: Stack) -> tuple[str, bool]:
    """Return what `mobinet verify` reports, and whether everything holds."""
    await stack.stop_worker()
    try:
        await stack.run("verify", "--signatures")
    except StackError as error:
        return f"`mobinet verify` failed:\n{error}", False
    return "`mobinet verify --signatures` holds", True


def _report(figures: Figures, cpu: Mapping[str, float], client: float, drained: float) -> None:
    known = sum(intent.payment_id is not None for intent in figures.intents)
    paid = sum(intent.paid_by_customer for intent in figures.intents)
    print(f"\n{figures.table()}\n")
    print(
        f"{figures.visits:,} visits, {len(figures.intents):,} intended payments, {known:,}"
        f" answered, {paid:,} paid at a gateway; at most {figures.most_open:,} visits at once"
    )
    shares = ", ".join(f"{part} {1000 * used / max(known, 1):.1f}" for part, used in cpu.items())
    print(f"CPU ms a payment: {shares}; load client {1000 * client / max(known, 1):.1f}")
    print(f"the drain took {drained:.1f} s")


if __name__ == "__main__":
    sys.exit(main())
