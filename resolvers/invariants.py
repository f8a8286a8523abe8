"""
Checking the invariants: by `mobinet verify` all at once, by the worker each minute over what changed.

A check is a question to the database (db/invariants/checks.py); what no database can answer, signatures and
what was told outside of it, is read in batches and checked here.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import structlog
from prometheus_client import Gauge

from db.invariants import checks as kept
from domain.chain import sealed_text
from domain.invariants import Invariant, InvariantName, Violation
from domain.staff import Operation, check
from integrations.heads import Heads
from integrations.keys import KeyRing
from resolvers.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ALWAYS = tuple(name for name in InvariantName if name is not InvariantName.SIGNATURES)
# What takes longest is begun first: so the lanes end together.
LONG = (InvariantName.CHAIN, InvariantName.RECORDS, InvariantName.LEDGER_AS_WRITTEN)
WHOLE_EVERY = timedelta(days=1)
AGAIN_AFTER = timedelta(minutes=10)  # what did not hold is checked whole again
OVERLAP = timedelta(minutes=5)  # a slow transaction commits this much after the time it is dated
HEADS_AT_ONCE = 1000

_VIOLATIONS = Gauge(
    "mobinet_invariant_violations", "Rows that violate an invariant, as last checked.", ["name"]
)

Found = tuple[int, tuple[Violation, ...]]


async def read(context: Context) -> list[Invariant]:
    """Return what the last checks found."""
    check(context.actor, Operation.READ_INVARIANTS)
    found = await kept.latest()
    return [found[name] for name in InvariantName if name in found]


async def check_first(context: Context) -> None:
    """Check everything where nothing was ever checked, so that a start leaves something to read."""
    try:
        if not await kept.latest():
            await watch(context)
    except Exception:  # a start goes on; the worker checks within a minute
        log.exception("first_check_failed")


async def measure() -> None:
    """Show in the metrics what the last checks found."""
    for name, found in (await kept.latest()).items():
        _VIOLATIONS.labels(name.value).set(found.violations)


async def prove(
    connections: Sequence[Any],
    keys: KeyRing,
    heads: Heads,
    *,
    signatures: bool,
    tell: Callable[[Invariant, float], None] = lambda found, seconds: None,
) -> list[Invariant]:
    """
    Check everything that is kept, side by side on the connections, and return what each check found.

    *tell* is called with each as soon as it is known, and the seconds that it took. Raises what the
    first connection that fails raises: what was not asked is never taken to hold.
    """
    signed = (InvariantName.SIGNATURES,) if signatures else ()
    waiting = iter(dict.fromkeys((*signed, *LONG, *ALWAYS)))
    found: dict[InvariantName, Invariant] = {}

    async def lane(connection: Any) -> None:
        for name in waiting:  # whichever lane is free takes the next
            began = time.perf_counter()
            count, rows = await _found(connection, name, keys, heads, None)
            at = await kept.now(connection)
            found[name] = Invariant(name=name, violations=count, rows=rows, checked_at=at)
            tell(found[name], time.perf_counter() - began)

    try:
        async with asyncio.TaskGroup() as lanes:
            for connection in connections:
                lanes.create_task(lane(connection))
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None
    return [found[name] for name in (*ALWAYS, *signed)]


async def watch(context: Context) -> None:
    """
    Check what changed since the last look, and once a day everything; keep what was found.

    What did not hold stays so until a whole check says otherwise.
    """
    now = await context.clock()
    before, whole_at = await kept.latest(), await kept.whole_at()
    async with kept.examination() as connection:
        for name in ALWAYS:
            last = before.get(name)
            pause = WHOLE_EVERY if last is None or last.holds else AGAIN_AFTER
            due = last is None or name not in whole_at or now - whole_at[name] >= pause
            if not due and name in kept.WHOLE_ONLY:
                continue
            since = None if due or last is None else last.checked_at - OVERLAP
            heads, keys = context.heads, context.keys.receipts
            count, rows = await _found(connection, name, keys, heads, since)
            found = Invariant(name=name, violations=count, rows=rows, checked_at=now)
            if due or count or last is None or last.holds:
                await kept.keep(found, whole=due)
            for row in rows:
                log.error("invariant violated", invariant=name, table=row.table, row=row.row, why=row.why)  # fmt: skip


async def _found(
    connection: Any, name: InvariantName, keys: KeyRing, heads: Heads, since: datetime | None
) -> Found:
    if name is InvariantName.SIGNATURES:
        return await _signatures(connection, keys)
    found = await kept.violations(connection, name, since)
    if name is InvariantName.SEALS:
        forged = await _seals(connection, keys, since)
        missing = await _heads(connection, heads) if since is None else _none()
        found = _sum(found, forged, missing)
    return found


async def _signatures(connection: Any, keys: KeyRing) -> Found:
    wrong = _Wrong("payment_record")
    async for row, key_id, signature, text in kept.records(connection):
        wrong.unless_signed(keys, row, key_id, signature, text.encode())
    return wrong.found


async def _seals(connection: Any, keys: KeyRing, since: datetime | None) -> Found:
    wrong = _Wrong("seal")
    async for row, seal in kept.seals(connection, since):
        text = sealed_text(seal.first, seal.last, seal.head)
        wrong.unless_signed(keys, row, seal.key_id, seal.signature, text)
    return wrong.found


async def _heads(connection: Any, heads: Heads) -> Found:
    """Hold the chain against what was told outside: it can't have been cut off, or begun anew."""
    wrong = _Wrong("audit_link")
    told = heads.read()
    while batch := list(islice(told, HEADS_AT_ONCE)):
        for head in await kept.not_linked(connection, batch):
            wrong.add(head.number, f"is gone or another: {heads.path.name} has {head.hash.hex()}")
    return wrong.found


class _Wrong:
    """Counts what is wrong in a table, and keeps the first of it."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._count = 0
        self._rows: list[Violation] = []

    def unless_signed(
        self, keys: KeyRing, row: int, key_id: str, signature: bytes, text: bytes
    ) -> None:
        key = keys.find(key_id)
        if key is None:
            self.add(row, f"is signed by {key_id}, which is no key of ours")
        elif not key.verifies(signature, text):
            self.add(row, "its signature is not over what it says")

    def add(self, row: int, why: str) -> None:
        self._count += 1
        if self._count <= kept.SHOWN:
            self._rows.append(Violation(table=self._table, row=str(row), why=why))

    @property
    def found(self) -> Found:
        return self._count, tuple(self._rows)


def _none() -> Found:
    return 0, ()


def _sum(*several: Found) -> Found:
    rows: Sequence[Violation] = [row for _, found in several for row in found]
    return sum(count for count, _ in several), tuple(rows[: kept.SHOWN])
