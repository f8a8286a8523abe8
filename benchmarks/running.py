"""A run: stacks measured in turns, round after round."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path

from benchmarks.client.loads import Clients, closed
from benchmarks.engine import EngineError, engine, run
from benchmarks.filling.by_source import fill
from benchmarks.measures.cash import CASH_CLIENTS, is_paid
from benchmarks.report.ratios import OURS, RowResult
from benchmarks.row import Measure, NotMeasured, Options, Row, Sample, Target
from benchmarks.stack import Source, Stack, StackError
from benchmarks.supply import Supply, SupplyError

_SECONDS_A_SAMPLE = 600.0
_FAILURES = (StackError, SupplyError, EngineError, OSError, ValueError, KeyError, TimeoutError)


@contextlib.asynccontextmanager
async def start_targets(
    sources: Sequence[Source], folder: Path, options: Options
) -> AsyncGenerator[dict[str, Target]]:
    """Start a stack of each source, fill it and warm it up; the first source is ours."""
    async with contextlib.AsyncExitStack() as stacks:
        found: dict[str, Target] = {}
        for source in sources:
            own = await stacks.enter_async_context(engine(folder / source.name, source.name))
            stack = Stack.of(source, own, folder / f"{source.name}-stack")
            stack.outer_systems = sources[0]
            stacks.callback(stack.kill)
            stacks.push_async_callback(stack.stop)
            found[source.name] = Target(stack, Supply(stack), options)
        for target in found.values():
            print(f"{target.stack.name}: starting", flush=True)
            await _prepare(target)
        yield found


async def _prepare(target: Target) -> None:
    stack, options = target.stack, target.options
    await stack.run("migrate")
    await stack.start()
    if options.seeded:
        await fill(stack, options.seeded)
    await target.supply.log_in(CASH_CLIENTS)
    if options.warm_up:
        await stack.start_worker()
        await target.supply.stock(options.warm_up)
        requests = itertools.islice(target.supply.payments("CASH"), options.warm_up)
        outcome = await closed(stack.api, requests, is_paid, Clients(count=CASH_CLIENTS))
        target.rates["payments"] = max(outcome.rate, 10.0)
        await stack.drain()
        await stack.stop_worker()
    await run(stack.engine.database_url, "analyze")


async def measure(
    rows: Sequence[Row], stacks: Mapping[str, Target], options: Options
) -> list[RowResult]:
    """Measure every row in every round; no round begins after the last minute."""
    results = [RowResult(row) for row in rows]
    # Rows without the worker come first, so that it starts once a round.
    ordered = sorted(results, key=lambda each: each.row.worker)
    deadline = time.monotonic() + 60 * options.minutes
    for nth in range(options.rounds):
        if nth and time.monotonic() > deadline:
            print(f"{options.minutes:.0f} minutes are over: {nth} rounds were measured", flush=True)
            break
        for result in ordered:
            if result.row.max_rounds is None or nth < result.row.max_rounds:
                # The second of two measurements finds a warmer machine, so the order alternates.
                turns = dict(list(stacks.items())[:: -1 if nth % 2 else 1])
                await _round(result, turns, f"{nth + 1}/{options.rounds}")
    return results


async def _round(result: RowResult, stacks: Mapping[str, Target], nth: str) -> None:
    row = result.row
    for target in stacks.values():
        await _set_worker(target, on=row.worker)
    for name, target in stacks.items():
        if name == OURS or not row.only_ours:
            result.add(name, await _sample(result, name, row.measure, target))
            if not row.only_ours:
                await _ensure_api_answers(target)
    for name, limit in row.limits.items():
        if name not in result.reasons:
            result.add(name, await _sample(result, name, limit, stacks[OURS]))
    print(f"{nth} {row.key:<13}{_progress(result)}", flush=True)


async def _set_worker(target: Target, *, on: bool) -> None:
    if on and not target.stack.works:
        await target.stack.start_worker()
        await target.stack.drain()
    elif not on:
        await target.stack.stop_worker()


async def _sample(result: RowResult, name: str, measure: Measure, target: Target) -> Sample | None:
    """Return a sample, or None after noting the reason."""
    try:
        async with asyncio.timeout(_SECONDS_A_SAMPLE):
            sample = await measure(target)
    except NotMeasured as reason:
        result.reasons[name] = str(reason)
        return None
    except _FAILURES as error:
        lines = str(error).splitlines() or [""]
        result.reasons[name] = f"{type(error).__name__}: {lines[0]}"[:300]
        return None
    result.reasons.pop(name, None)
    return sample


async def _ensure_api_answers(target: Target) -> None:
    """Restart the API where it no longer answers after a row."""
    try:
        async with asyncio.timeout(20):
            await target.supply.send("Me", {}, target.supply.collectors[0])
    except (*_FAILURES, IndexError):
        await target.stack.restart_api()


def _progress(result: RowResult) -> str:
    """Return the last values of the row's first metric."""
    metric = result.row.metrics[0]
    parts = [
        f"{name} {sample.values[metric.key]:.4g}{metric.unit}"
        for name, samples in result.samples.items()
        if (sample := samples[-1]) is not None and metric.key in sample.values
    ]
    return "  ".join(parts) or "not measured"
