"""
The speed of `mobinet verify` over valid payments, on embedded servers of its own.

    python -m benchmarks.verify [--payments N] [--signatures]

It verifies two databases, with a tenth and with all of the payments; the memory must be the same.
Baselines show how fast the same machine reads the same rows without any check.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from benchmarks.filling import fill
from db.engine import own_connection
from db.migrate import migrate
from integrations.embedded import Servers, servers, wait_until_stopped
from integrations.keys import SigningKey
from mobinet.bootstrap import process_context
from mobinet.settings import load
from resolvers import sealing

_SIGNATURES = 10_000
_TABLES = (
    "payment", "payment_item", "attempt", "notification", "idempotency_key", "reversal", "hand_in",
    "entry", "posting", "payment_record", "audit_event", "audit_link",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """The output and cost of one `mobinet verify`."""

    output: list[str]
    holds: bool
    seconds: float
    own_mb: float
    servers_mb: float


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("--payments", type=int, default=100_000)
    parser.add_argument("--signatures", action="store_true", help="of every payment record, too")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="mobinet-bench-"))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for name in [name for name in os.environ if name.startswith("MOBINET_")]:
        del os.environ[name]
    try:
        with servers(folder) as embedded:
            few = _measured(embedded, folder, arguments.payments // 10, arguments.signatures)
            many = _measured(embedded, folder, arguments.payments, arguments.signatures)
    finally:
        wait_until_stopped(folder)
        shutil.rmtree(folder, ignore_errors=True)
    print(f"Memory of a tenth → of all: itself {few.own_mb:.0f} → {many.own_mb:.0f} MB, its servers"
          f" {few.servers_mb:.0f} → {many.servers_mb:.0f} MB.")  # fmt: skip
    return 0 if few.holds and many.holds else 1


def _measured(embedded: Servers, folder: Path, count: int, signatures: bool) -> Verified:
    """Fill a new database with *count* payments, seal and verify it, and print each time."""
    url = embedded.postgres_url.replace("/mobinet?", f"/bench_{count}?")
    os.environ |= {
        "MOBINET_DATABASE_URL": url,
        "MOBINET_REDIS_URL": embedded.valkey_url,
        "MOBINET_DATA_DIR": str(folder / f"data-{count}"),
    }
    print(
        f"── {count:,} payments, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
        flush=True,
    )
    asyncio.run(_run(embedded.postgres_url, f"create database bench_{count}"))
    with redirect_stdout(io.StringIO()):  # hides the output of each migration
        asyncio.run(migrate(url))
    key = load().keys.receipts[0].get_secret_value()
    with _timed("filled, records signed", count):
        fill(url, key, count, datetime.now(UTC))
    links = asyncio.run(_run(url, "select count(*) from audit_event"))
    with _timed("audit rows sealed", links):
        asyncio.run(_sealed())
    asyncio.run(_run(url, "vacuum (analyze) audit_link, seal"))
    with _timed("baseline: counted"):
        rows = sum(asyncio.run(_run(url, f"select count(*) from {table}")) for table in _TABLES)
    with _timed("baseline: read by a cursor", rows):
        asyncio.run(_read(url))
    with _timed("baseline: SHA-256 of each audit row, in the database", links):
        asyncio.run(
            _run(url, "select count(sha256(convert_to(e::text, 'UTF8'))) from audit_event e")
        )
    if signatures:
        with _timed("baseline: Ed25519, one core", _SIGNATURES):
            _verify_signatures(SigningKey(key))
    done = _verified(embedded, "--signatures" if signatures else None)
    print("\n".join(f"   {line}" for line in done.output))
    print(
        f"{'mobinet verify':<56}{done.seconds:>8.1f} s {count / done.seconds:>10,.0f} payments/s\n",
        flush=True,
    )
    return done


@contextmanager
def _timed(what: str, count: int | None = None) -> Generator[None]:
    began = time.perf_counter()
    yield
    seconds = time.perf_counter() - began
    rate = f"{count / seconds:>10,.0f}/s" if count else ""
    print(f"{what:<56}{seconds:>8.1f} s {rate}", flush=True)


async def _sealed() -> None:
    async with process_context(load()) as context:
        while await sealing.seal(context):
            pass


async def _run(url: str, statement: str) -> Any:
    connection = await own_connection(url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def _read(url: str) -> None:
    connection = await own_connection(url)
    try:
        for table in _TABLES:
            async with connection.transaction():
                async for _ in connection.cursor(f"select * from {table}", prefetch=1000):
                    pass
    finally:
        await connection.close()


def _verify_signatures(key: SigningKey) -> None:
    text = b"x" * 500
    signature = key.sign(text)
    for _ in range(_SIGNATURES):
        assert key.verifies(signature, text)


def _verified(embedded: Servers, *options: str | None) -> Verified:
    command = [sys.executable, "-m", "mobinet", "verify", *filter(None, options)]
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        peak = 0.0
        while True:
            peak = max(peak, _memory_of(embedded.postgres_pid))
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(0.1)
        output.seek(0)
        return Verified(
            output=output.read().splitlines(),
            holds=status == 0,
            seconds=time.perf_counter() - began,
            own_mb=used.ru_maxrss / 1024,
            servers_mb=peak,
        )


def _memory_of(postgres: int) -> float:
    """
    Return the memory of PostgreSQL's processes in MB, or 0 on systems without /proc.

    It counts each process's private memory, and once the shared memory of parallel queries. It
    leaves out `shared_buffers`, whose size does not depend on the query.
    """
    own, shared = 0, dict[str, int]()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            lines = (process / "status").read_text().splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            if fields["PPid"].strip() != str(postgres):
                continue
            own += int(fields.get("RssAnon", "0 kB").split()[0]) * 1024
            for mapped in (process / "maps").read_text().splitlines():
                if "/dev/shm/PostgreSQL." in mapped:  # noqa: S108
                    first, last = mapped.split()[0].split("-")
                    shared[mapped.split()[5]] = int(last, 16) - int(first, 16)
        except OSError:
            continue  # the process has ended meanwhile
    return (own + sum(shared.values())) / 2**20


if __name__ == "__main__":
    sys.exit(main())
