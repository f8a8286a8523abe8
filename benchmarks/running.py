"""A run: two stacks side by side, measured in turns, round after round."""

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
from benchmarks.report.ratios import OURS, Measured
from benchmarks.row import Measure, NotMeasured, Options, Row, Sample, Subject
from benchmarks.stack import Source, Stack, StackError
from benchmarks.supply import Supply, SupplyError

_SECONDS_A_SAMPLE = 600.0
_FAILURES = (StackError, SupplyError, EngineError, OSError, ValueError, KeyError, TimeoutError)


@contextlib.asynccontextmanager
async def subjects(
    sources: Sequence[Source], folder: Path, options: Options
) -> AsyncGenerator[dict[str, Subject]]:
    """Start a stack of each source, fill it alike and warm it up; the first is ours."""
    async with contextlib.AsyncExitStack() as stacks:
        found: dict[str, Subject] = {}
        for source in sources:
            own = await stacks.enter_async_context(engine(folder / source.name, source.name))
            stack = Stack.of(source, own, folder / f"{source.name}-stack")
            stack.outer_systems = sources[0]
            stacks.callback(stack.kill)
            stacks.push_async_callback(stack.stop)
            found[source.name] = Subject(stack, Supply(stack), options)
        for subject in found.values():
            print(f"{subject.stack.name}: starting", flush=True)
            await _prepare(subject)
        yield found


async def _prepare(subject: Subject) -> None:
    stack, options = subject.stack, subject.options
    await stack.run("migrate")
    await stack.start()
    if options.seeded:
        await fill(stack, options.seeded)
    await subject.supply.log_in(CASH_CLIENTS)
    if options.warm_up:
        await stack.start_worker()
        await subject.supply.stock(options.warm_up)
        requests = itertools.islice(subject.supply.payments("CASH"), options.warm_up)
        outcome = await closed(stack.api, requests, is_paid, Clients(count=CASH_CLIENTS))
        subject.rates["payments"] = max(outcome.rate, 10.0)
        await stack.drain()
        await stack.stop_worker()
    await run(stack.engine.database_url, "analyze")


async def measure(
    rows: Sequence[Row], stacks: Mapping[str, Subject], options: Options
) -> list[Measured]:
    """Measure every row in every round; a round that begins after the last minute is left out."""
    results = [Measured(row) for row in rows]
    # Rows without the worker come first, so that it starts once a round.
    ordered = sorted(results, key=lambda each: each.row.worker)
    deadline = time.monotonic() + 60 * options.minutes
    for nth in range(options.rounds):
        if nth and time.monotonic() > deadline:
            print(f"{options.minutes:.0f} minutes are over: {nth} rounds were measured", flush=True)
            break
        for measured in ordered:
            if measured.row.most_rounds is None or nth < measured.row.most_rounds:
                # Whoever is measured second finds the machine otherwise, so that turns change.
                turns = dict(list(stacks.items())[:: -1 if nth % 2 else 1])
                await _round(measured, turns, f"{nth + 1}/{options.rounds}")
    return results


async def _round(measured: Measured, stacks: Mapping[str, Subject], nth: str) -> None:
    row = measured.row
    for subject in stacks.values():
        await _set_worker(subject, on=row.worker)
    for name, subject in stacks.items():
        if name == OURS or not row.only_ours:
            measured.add(name, await _sample(measured, name, row.measure, subject))
            if not row.only_ours:
                await _mend(subject)
    for name, limit in row.limits.items():
        if name not in measured.reasons:
            measured.add(name, await _sample(measured, name, limit, stacks[OURS]))
    print(f"{nth} {row.key:<13}{_progress(measured)}", flush=True)


async def _set_worker(subject: Subject, *, on: bool) -> None:
    if on and not subject.stack.works:
        await subject.stack.start_worker()
        await subject.stack.drain()
    elif not on:
        await subject.stack.stop_worker()


async def _sample(
    measured: Measured, name: str, measure: Measure, subject: Subject
) -> Sample | None:
    """Return a sample, or None with the reason noted."""
    try:
        async with asyncio.timeout(_SECONDS_A_SAMPLE):
            sample = await measure(subject)
    except NotMeasured as reason:
        measured.reasons[name] = str(reason)
        return None
    except _FAILURES as error:
        lines = str(error).splitlines() or [""]
        measured.reasons[name] = f"{type(error).__name__}: {lines[0]}"[:300]
        return None
    measured.reasons.pop(name, None)
    return sample


async def _mend(subject: Subject) -> None:
    """Leave a stack whose API answers, whatever a row did to it."""
    try:
        async with asyncio.timeout(20):
            await subject.supply.ask("Me", {}, subject.supply.collectors[0])
    except (*_FAILURES, IndexError):
        await subject.stack.restart_api()


def _progress(measured: Measured) -> str:
    """Return the last values of the row's first metric."""
    metric = measured.row.metrics[0]
    parts = [
        f"{name} {sample.values[metric.key]:.4g}{metric.unit}"
        for name, samples in measured.samples.items()
        if (sample := samples[-1]) is not None and metric.key in sample.values
    ]
    return "  ".join(parts) or "not measured"
