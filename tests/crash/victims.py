"""
A process that has everything loaded and nothing running, and forks one victim after another.

    python -m tests.crash.victims

It reads an order a line and answers a line. Each order is done by a fork of its own, with its own
loop, connections and number among the running processes: the way a real one dies is the only way
it ends early. Loading takes seconds, a fork milliseconds.
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
from dataclasses import asdict
from typing import Any, TextIO

import uvloop

from db import engine
from db.invariants.checks import examination
from integrations.embedded.process import die_with_parent
from integrations.heads import Heads
from integrations.http import client
from mobinet.bootstrap import running
from mobinet.settings import Settings, load
from resolvers import sealing
from resolvers.context import Context
from resolvers.invariants import prove
from tests.crash import night
from tests.crash.flows import FLOWS, again
from tests.crash.plants import PLANTS
from tests.crash.steps import Kill, numbered
from tests.crash.subjects import Heard, Subject, asker, nobody

Json = Any
SIDE_BY_SIDE = 4


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what is logged goes with the errors: answers have their pipe alone
    settings = load()
    client._public_tls()
    gc.freeze()  # what is loaded is never garbage: a fork need not copy it to find that out
    for line in sys.stdin:
        print(json.dumps(_forked(settings, json.loads(line))), file=answers, flush=True)


def _forked(settings: Settings, order: Json) -> Json:
    """Have the order done; `killed` tells that whoever did it died of a kill."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        die_with_parent(signal.SIGKILL)
        sys.stdin.close()
        with os.fdopen(theirs, "w") as report:
            code = _do(settings, order, report)
            report.flush()
        os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as report:
        said = report.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return {"killed": os.WTERMSIG(status) == signal.SIGKILL}
    return {"killed": False} | json.loads(said)


def _do(settings: Settings, order: Json, report: TextIO) -> int:
    async def main() -> Json:
        async with running(settings, pool_size=6) as context:
            return await ORDERS[order["do"]](context, order)

    try:
        json.dump(uvloop.run(main()), report)
    except BaseException:
        json.dump({"fault": traceback.format_exc()}, report)
        return 1
    return 0


# ── orders ───────────────────────────────────────────────────────────────────────────────────────


async def prepare(context: Context, order: Json) -> Json:
    """Prepare each subject for its flow."""

    async def one(given: Json) -> Json:
        subject = _subject(given)
        return asdict(await FLOWS[subject.flow].prepare(context, subject))

    return {"subjects": await _side_by_side(order["subjects"], one)}


async def act(context: Context, order: Json) -> Json:
    """Act, and die at the step that the order names; return the steps, if it was not reached."""
    subject = _subject(order["subject"])
    by = await asker(context, subject)
    kill = Kill(**order["kill"]) if order.get("kill") else None
    with PLANTS[order.get("plant") or ""]():
        await engine.execute("select 'the act begins'")
        with numbered(kill) as steps:
            await FLOWS[subject.flow].act(by, subject)
        await engine.execute("select 'the act ends'")
    return {"steps": steps.taken}


async def repeat(context: Context, order: Json) -> Json:
    """Act again, as whoever got no answer does."""

    async def one(subject: Json) -> Json:
        return await again(context, _subject(subject))

    return {"refused": await _side_by_side(order["subjects"], one)}


async def recover(context: Context, order: Json) -> Json:
    passed = await night.pass_(nobody(context))
    while await sealing.seal(nobody(context)):
        pass
    return asdict(passed)


async def verify(context: Context, order: Json) -> Json:
    """Ask what `mobinet verify --signatures` asks."""
    settings = load()
    assert settings.database_url is not None
    heads = Heads(settings.data_dir / "heads.log")
    async with examination(settings.database_url.get_secret_value()) as connection:
        found = await prove([connection], context.keys.receipts, heads, signatures=True)
    broken = [
        f"{item.name}: {row.table} {row.row} {row.why}" for item in found for row in item.rows
    ]
    return {"broken": broken}


ORDERS: dict[str, Callable[[Context, Json], Awaitable[Json]]] = {
    item.__name__: item for item in (prepare, act, repeat, recover, verify)
}


def _subject(given: Json) -> Subject:
    heard = given.get("heard")
    return Subject(**given | {"heard": Heard(**heard) if heard else None})


async def _side_by_side(subjects: list[Json], do: Callable[[Json], Awaitable[Json]]) -> list[Json]:
    free = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(subject: Json) -> Json:
        async with free:
            return await do(subject)

    return await asyncio.gather(*(one(subject) for subject in subjects))


if __name__ == "__main__":
    main()
