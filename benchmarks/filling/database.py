"""Fill a database with valid payments: rows by SQL, records signed as by the API, on all cores."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from benchmarks.filling import statements
from db import engine, payments
from domain.calendar import business_date, day_end
from domain.receipts import payload
from integrations.keys import SigningKey

CHUNK = 5000
# Foreign keys and triggers are off, because they check row by row; `mobinet verify` checks all.
_BULK_SETTINGS = (
    "set session_replication_role = replica; set synchronous_commit = off; set work_mem = '64MB'"
)
_RECORD_COLUMNS = ["payment", "version", "payload", "key_id", "signature", "signed_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Payments *first* to *last* of *count*, before *until*, signed with the key in *pem*."""

    url: str
    pem: str
    first: int
    last: int
    count: int
    until: datetime


def fill(url: str, pem: str, count: int, now: datetime) -> None:
    """Add *count* payments, before the day of *now*, to a migrated, empty database."""
    until = day_end(business_date(now) - timedelta(days=1))
    chunks = [
        Chunk(
            url=url,
            pem=pem,
            first=first,
            last=min(first + CHUNK - 1, count),
            count=count,
            until=until,
        )
        for first in range(1, count + 1, CHUNK)
    ]
    asyncio.run(_run(url, statements.STAFF, now))
    # The processes are spawned, because database connections do not survive a fork.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(_add_in_process, chunks))
    for statement in (*statements.AFTER_ALL_CHUNKS, "vacuum (analyze, freeze)", "checkpoint"):
        asyncio.run(_run(url, statement))


async def _run(url: str, statement: str, *args: object) -> None:
    connection = await engine.own_connection(url)
    try:
        await connection.execute(_BULK_SETTINGS)
        await connection.execute(statement, *args)
    finally:
        await connection.close()


def _add_in_process(chunk: Chunk) -> None:
    asyncio.run(_add(chunk))


async def _add(chunk: Chunk) -> None:
    await engine.connect(chunk.url, pool_size=1, role=None)
    connection = await engine.own_connection(chunk.url)
    try:
        await connection.execute(_BULK_SETTINGS)
        await connection.execute(
            statements.FACTS.format(
                first=chunk.first, last=chunk.last, count=chunk.count, until=chunk.until
            )
        )
        async with connection.transaction():
            for statement in statements.BEFORE_RECORDS:
                await connection.execute(statement)
        async with connection.transaction():
            await _sign_records(connection, SigningKey(chunk.pem))
            for statement in statements.AFTER_RECORDS:
                await connection.execute(statement)
    finally:
        await connection.close()
        await engine.disconnect()


async def _sign_records(connection: Any, key: SigningKey) -> None:
    """Add the payments' signed records, made as the API makes them."""
    ids = [row["id"] for row in await connection.fetch("select id from facts order by n")]
    for first in range(0, len(ids), 1000):
        records: list[tuple[object, ...]] = []
        for payment in await payments.by_ids(ids[first : first + 1000]):
            text = payload(payment)
            signature = key.sign(text.encode())
            records.append(
                (payment.id, payment.version, text, key.id, signature, payment.completed_at)
            )
        await connection.copy_records_to_table(
            "payment_record", records=records, columns=_RECORD_COLUMNS
        )
