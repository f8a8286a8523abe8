"""Costs that grow with the table: a page of payments, a payment, and `mobinet verify`."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path

from benchmarks.client.http import Response
from benchmarks.client.loads import OK
from benchmarks.engine import connected, engine
from benchmarks.filling.by_source import fill
from benchmarks.measures.cash import is_paid
from benchmarks.measures.reads import PAGE
from benchmarks.row import Goal, Metric, NotMeasured, Row, Sample, Target
from benchmarks.stack import Stack
from benchmarks.supply import Supply, once

_TIMES = 20
_CALLS = """
select coalesce(sum(shared_blks_hit + shared_blks_read), 0)::bigint from pg_stat_statements s
  join pg_database d on d.oid = s.dbid
 where d.datname = current_database() and query not like '%pg_stat_statements%'
"""


async def _growth(target: Target) -> Sample:
    """Measure a page and a payment on a small and on a large database."""
    if len(target.options.growth) != 2:
        raise NotMeasured("it takes minutes and needs --growth 10000 1000000")
    small, large = [await _at_size(target, size) for size in target.options.growth]
    return Sample({key: large[key] / max(small[key], 1e-9) for key in small})


async def _at_size(target: Target, size: int) -> dict[str, float]:
    folder = Path(tempfile.mkdtemp(prefix="mobinet-bench-"))
    async with engine(folder / "servers", f"grown_{size}") as own:
        stack = Stack.of(target.stack.source, own, folder / "stack")
        try:
            await stack.run("migrate")
            await stack.start()
            await fill(stack, size)
            return await _costs(Target(stack, Supply(stack), target.options))
        finally:
            await stack.stop()


async def _costs(target: Target) -> dict[str, float]:
    """Return buffers and CPU of PostgreSQL for a page and for a cash payment, after a warm-up."""
    supply, stack = target.supply, target.stack
    await supply.log_in(1)
    page = supply.request("Transactions", {"first": PAGE}, supply.office)
    await supply.stock(2 * _TIMES)
    bills = [supply.payment("CASH", supply.bill(), supply.collectors[0]) for _ in range(2 * _TIMES)]
    costs: dict[str, float] = {}
    for name, requests, check in (
        ("page", [page] * 2 * _TIMES, _is_page),
        ("payment", bills, is_paid),
    ):
        for request in requests[:_TIMES]:
            await once(stack.api, request)
        async with connected(stack.engine.database_url) as connection:
            await connection.execute("create extension if not exists pg_stat_statements")
            await connection.execute("select pg_stat_statements_reset()")
            before = stack.cpu()
            for request in requests[_TIMES:]:
                if (kind := check(await once(stack.api, request))) != OK:
                    raise NotMeasured(f"the API answers {kind}")
            cpu = stack.cpu()["PostgreSQL"] - before["PostgreSQL"]
            buffers = await connection.fetchval(_CALLS)
        costs |= {f"{name} cpu": cpu / _TIMES, f"{name} buffers": buffers / _TIMES}
    return costs


def _is_page(response: Response) -> str:
    return OK if response.status == 200 and b'"totalCount"' in response.body else "no page"


async def _verify(target: Target) -> Sample:
    """Run the benchmark of `mobinet verify`, on servers of its own."""
    count = target.options.verified
    process = await asyncio.create_subprocess_exec(
        str(target.stack.source.python),
        *("-m", "benchmarks.verify", "--payments", str(count)),
        cwd=target.stack.source.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode(errors="replace")
    found = re.findall(r"^mobinet verify\s+([\d.]+) s", output, re.MULTILINE)
    if process.returncode or not found:
        lines = output.strip().splitlines() or ["no output"]
        raise NotMeasured(f"benchmarks.verify: {lines[-1]}")
    return Sample({"seconds": 1e6 / count * float(found[-1])})


ROWS = (
    Row(
        key="growth",
        group="tables",
        title="Costs on a large table, as a multiple of those on a small one",
        metrics=(
            Metric(
                key="page buffers",
                title="A page with totals: buffers",
                unit="×",
                goal=Goal(words="≤ 1.3"),
            ),
            Metric(key="page cpu", title="A page with totals: CPU of PostgreSQL", unit="×"),
            Metric(
                key="payment buffers",
                title="A cash payment: buffers",
                unit="×",
                goal=Goal(words="then ≤ 1.3"),
            ),
            Metric(key="payment cpu", title="A cash payment: CPU of PostgreSQL", unit="×"),
        ),
        measure=_growth,
        only_ours=True,
        max_rounds=1,
    ),
    Row(
        key="verify",
        group="tables",
        title="mobinet verify, scaled to a million payments",
        metrics=(Metric(key="seconds", title="Total time", unit="s", goal=Goal(words="≤ 60 s")),),
        measure=_verify,
        only_ours=True,
        max_rounds=1,
    ),
)
