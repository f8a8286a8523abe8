"""
A process that has loaded everything and forks a child for each order.

    python -m tests.crash.fork_server

It reads one order per line and answers with one line. Each child has its own loop and connections,
so that it dies as a real process does. Loading takes seconds, a fork milliseconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TextIO

import uvloop

from db import engine
from db.clock import Clock
from db.invariants.checks import open_check_connection
from domain.refusals import Refusal, Refused
from integrations.embedded.process import die_with_parent
from integrations.heads import Heads
from integrations.http import tls
from mobinet.bootstrap import process_context
from mobinet.settings import Settings, load
from resolvers import sealing
from resolvers.context import Context
from resolvers.invariants import check_all
from tests.crash.due_jobs import run_due_jobs
from tests.crash.flows import FLOWS
from tests.crash.flows import repeat as repeat_flow
from tests.crash.planted_faults import PLANTED_FAULTS
from tests.crash.preparations import GatewayCall, Prepared, context_of, system_context
from tests.crash.steps import KillPoint, numbered_steps

Json = Any
MAX_CONCURRENT = 4


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # logs go to stderr, so that the pipe carries answers alone
    settings = load()
    tls.ssl_context(tls.Tls())
    gc.freeze()  # without it the collector of a fork would copy the loaded pages
    for line in sys.stdin:
        print(json.dumps(_run_in_fork(settings, json.loads(line))), file=answers, flush=True)


def _run_in_fork(settings: Settings, order: Json) -> Json:
    """Carry out the order in a child; `killed` is whether SIGKILL ended it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        die_with_parent(signal.SIGKILL)
        sys.stdin.close()
        with os.fdopen(writer, "w") as report:
            code = _execute(settings, order, report)
            report.flush()
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as report:
        answer = report.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"killed": os.WTERMSIG(status) == signal.SIGKILL}
    return {"killed": False} | json.loads(answer)


class ReadingClock(Clock):
    """A clock whose every reading is a statement, so that a flow's steps are always the same."""

    async def recent(self) -> datetime:
        return await self()


def _execute(settings: Settings, order: Json, report: TextIO) -> int:
    async def main() -> Json:
        async with process_context(settings, pool_size=6) as opened:
            context = replace(opened, clock=ReadingClock())
            return await ORDERS[order["order"]](context, order)

    try:
        json.dump(uvloop.run(main()), report)
    except BaseException:
        json.dump({"fault": traceback.format_exc()}, report)
        return 1
    return 0


# ── orders ───────────────────────────────────────────────────────────────────────────────────────


async def prepare(context: Context, order: Json) -> Json:
    """Prepare each of them for its flow."""

    async def prepare_flow(given: Json) -> Json:
        prepared = _prepared(given)
        return asdict(await FLOWS[prepared.flow].prepare(context, prepared))

    return {"prepared": await _concurrently(order["prepared"], prepare_flow)}


async def act(context: Context, order: Json) -> Json:
    """
    Act and die at the step that the order names; return the steps where it is not reached.

    A refusal is a fault, unless the order says that it may be refused.
    """
    prepared = _prepared(order["prepared"])
    by = await context_of(context, prepared)
    kill = KillPoint(**order["kill"]) if order.get("kill") else None
    with PLANTED_FAULTS[order.get("fault") or ""]():
        await engine.execute("select 'the act begins'")
        refusals = (Refusal, Refused) if order.get("may_be_refused") else ()
        with numbered_steps(kill) as steps, suppress(*refusals):
            await FLOWS[prepared.flow].act(by, prepared)
        await engine.execute("select 'the act ends'")
    return {"steps": steps.taken}


async def repeat(context: Context, order: Json) -> Json:
    """Act again, as a client without an answer does."""

    async def repeat_one(prepared: Json) -> Json:
        return await repeat_flow(context, _prepared(prepared))

    return {"refused": await _concurrently(order["prepared"], repeat_one)}


async def recover(context: Context, order: Json) -> Json:
    """Run the worker's jobs until none is due, and seal the audit log."""
    run = await run_due_jobs(system_context(context))
    while await sealing.seal(system_context(context)):
        pass
    return asdict(run)


async def verify(context: Context, order: Json) -> Json:
    """Check what `mobinet verify --signatures` checks."""
    settings = load()
    assert settings.database_url is not None
    heads = Heads(settings.data_dir / "heads.log")
    async with open_check_connection(settings.database_url.get_secret_value()) as connection:
        found = await check_all([connection], context.keys.receipts, heads, signatures=True)
    broken = [
        f"{invariant.name}: {row.table} {row.row} {row.why}"
        for invariant in found
        for row in invariant.rows
    ]
    return {"broken": broken}


ORDERS: dict[str, Callable[[Context, Json], Awaitable[Json]]] = {
    order.__name__: order for order in (prepare, act, repeat, recover, verify)
}


def _prepared(given: Json) -> Prepared:
    gateway_call = given.get("gateway_call")
    return Prepared(
        **given | {"gateway_call": GatewayCall(**gateway_call) if gateway_call else None}
    )


async def _concurrently(
    preparations: list[Json], do: Callable[[Json], Awaitable[Json]]
) -> list[Json]:
    free = asyncio.Semaphore(MAX_CONCURRENT)

    async def limited(prepared: Json) -> Json:
        async with free:
            return await do(prepared)

    return await asyncio.gather(*(limited(prepared) for prepared in preparations))


if __name__ == "__main__":
    main()
