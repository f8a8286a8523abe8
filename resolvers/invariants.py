"""
Checking the invariants: all of them by `mobinet verify`, recent changes by the worker each minute.

Most checks are queries (db/invariants/checks.py). Signatures, and the heads that were published
outside the database, are read in batches and checked here.
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

from db.invariants import checks
from domain.chain import sealed_text
from domain.invariants import Invariant, InvariantName, Violation
from domain.staff import Operation, check
from integrations.heads import Heads
from integrations.keys import KeyRing
from resolvers.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

ALWAYS = tuple(name for name in InvariantName if name is not InvariantName.SIGNATURES)
# The longest checks begin first, so that all connections finish at about the same time.
LONGEST_FIRST = (InvariantName.CHAIN, InvariantName.RECORDS, InvariantName.LEDGER_AS_WRITTEN)
WHOLE_EVERY = timedelta(days=1)
WHOLE_AFTER_VIOLATION = timedelta(minutes=10)
OVERLAP = timedelta(minutes=5)  # a slow transaction may commit this long after its timestamp
HEADS_BATCH = 1000

_VIOLATIONS = Gauge(
    "mobinet_invariant_violations", "Rows that violate an invariant, as last checked.", ["name"]
)

# How many rows violate an invariant, and the first of them.
Found = tuple[int, tuple[Violation, ...]]
NOTHING_FOUND: Found = (0, ())


async def read(context: Context) -> list[Invariant]:
    """Return the results of the last checks."""
    check(context.actor, Operation.READ_INVARIANTS)
    found = await checks.latest()
    return [found[name] for name in InvariantName if name in found]


async def check_first(context: Context) -> None:
    """Check everything if nothing was checked before, so that there is a result to read."""
    try:
        if not await checks.latest():
            await watch(context)
    except Exception:  # the start continues; the worker checks within a minute
        log.exception("first_check_failed")


async def measure() -> None:
    """Set the metrics to the results of the last checks."""
    for name, found in (await checks.latest()).items():
        _VIOLATIONS.labels(name.value).set(found.violations)


async def check_all(
    connections: Sequence[Any],
    keys: KeyRing,
    heads: Heads,
    *,
    signatures: bool,
    report: Callable[[Invariant, float], None] = lambda found, seconds: None,
) -> list[Invariant]:
    """
    Check everything, in parallel on the connections, and return each result.

    *report* is called with each result as soon as it is known, and the seconds that it took. Raises
    the first error of any connection: a check that did not run is never taken to hold.
    """
    signed = (InvariantName.SIGNATURES,) if signatures else ()
    remaining = iter(dict.fromkeys((*signed, *LONGEST_FIRST, *ALWAYS)))
    found: dict[InvariantName, Invariant] = {}

    async def check_in_turn(connection: Any) -> None:
        for name in remaining:  # shared: the next free connection takes the next name
            began = time.perf_counter()
            count, rows = await _find(connection, name, keys, heads, None)
            at = await checks.now(connection)
            found[name] = Invariant(name=name, violations=count, rows=rows, checked_at=at)
            report(found[name], time.perf_counter() - began)

    try:
        async with asyncio.TaskGroup() as tasks:
            for connection in connections:
                tasks.create_task(check_in_turn(connection))
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [found[name] for name in (*ALWAYS, *signed)]


async def watch(context: Context) -> None:
    """
    Check what changed since the last check, everything once a day, and store the results.

    A violation stays until a check of the whole finds none.
    """
    now = await context.clock()
    results, fully_checked_at = await checks.latest(), await checks.fully_checked_at()
    async with checks.open_check_connection() as connection:
        for name in ALWAYS:
            last = results.get(name)
            is_whole = _is_whole_due(last, fully_checked_at.get(name), now)
            if not is_whole and name in checks.FULL_CHECK_ONLY:
                continue
            since = None if is_whole or last is None else last.checked_at - OVERLAP
            heads, keys = context.heads, context.keys.receipts
            count, rows = await _find(connection, name, keys, heads, since)
            found = Invariant(name=name, violations=count, rows=rows, checked_at=now)
            if is_whole or count or last is None or last.holds:
                await checks.store(found, is_full=is_whole)
            _log_violations(found)


def _is_whole_due(last: Invariant | None, fully_checked_at: datetime | None, now: datetime) -> bool:
    """Return whether everything is to be checked, and not only what changed."""
    if last is None or fully_checked_at is None:
        return True
    return now - fully_checked_at >= (WHOLE_EVERY if last.holds else WHOLE_AFTER_VIOLATION)


def _log_violations(found: Invariant) -> None:
    for row in found.rows:
        log.error(
            "invariant_violated", invariant=found.name, table=row.table, row=row.row, why=row.why
        )


async def _find(
    connection: Any, name: InvariantName, keys: KeyRing, heads: Heads, since: datetime | None
) -> Found:
    if name is InvariantName.SIGNATURES:
        return await _find_unsigned_records(connection, keys)
    found = await checks.violations(connection, name, since)
    if name is InvariantName.SEALS:
        forged = await _find_forged_seals(connection, keys, since)
        missing = await _find_missing_heads(connection, heads) if since is None else NOTHING_FOUND
        found = _sum(found, forged, missing)
    return found


async def _find_unsigned_records(connection: Any, keys: KeyRing) -> Found:
    violations = _Violations("payment_record")
    async for row, key_id, signature, text in checks.records(connection):
        violations.add_unless_signed(keys, row, key_id, signature, text.encode())
    return violations.found


async def _find_forged_seals(connection: Any, keys: KeyRing, since: datetime | None) -> Found:
    violations = _Violations("seal")
    async for row, seal in checks.seals(connection, since):
        text = sealed_text(seal.first, seal.last, seal.head)
        violations.add_unless_signed(keys, row, seal.key_id, seal.signature, text)
    return violations.found


async def _find_missing_heads(connection: Any, heads: Heads) -> Found:
    """Compare the chain with the published heads: it may have been cut off or replaced."""
    violations = _Violations("audit_link")
    published = heads.read()
    while batch := list(islice(published, HEADS_BATCH)):
        for head in await checks.not_linked(connection, batch):
            why = f"is missing or differs: {heads.path.name} has {head.hash.hex()}"
            violations.add(head.number, why)
    return violations.found


class _Violations:
    """Counts the violations in one table, and holds the first of them."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._count = 0
        self._rows: list[Violation] = []

    def add_unless_signed(
        self, keys: KeyRing, row: int, key_id: str, signature: bytes, text: bytes
    ) -> None:
        key = keys.find(key_id)
        if key is None:
            self.add(row, f"is signed by {key_id}, which is no key of ours")
        elif not key.verifies(signature, text):
            self.add(row, "its signature does not match its content")

    def add(self, row: int, why: str) -> None:
        self._count += 1
        if self._count <= checks.MAX_ROWS:
            self._rows.append(Violation(table=self._table, row=str(row), why=why))

    @property
    def found(self) -> Found:
        return self._count, tuple(self._rows)


def _sum(*results: Found) -> Found:
    rows = [row for _, result in results for row in result]
    return sum(count for count, _ in results), tuple(rows[: checks.MAX_ROWS])
