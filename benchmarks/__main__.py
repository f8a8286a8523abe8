"""
`make bench`: Mobinet's speed beside the pinned commit, limits of the machine, and peers.

    python -m benchmarks [--rows reads,cash] [--rounds 5] [--seconds 4] [--minutes 45] …
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import uvloop

from benchmarks.engine import EngineError
from benchmarks.files import allow_files
from benchmarks.measures import ROWS
from benchmarks.pinned import ROOT, PinnedUnavailable, ours, pinned
from benchmarks.processes import cancel_on_sigterm, is_measurable
from benchmarks.report import chart, table
from benchmarks.report.machine import Machine, describe
from benchmarks.report.ratios import OURS, RowResult
from benchmarks.row import Options, Row
from benchmarks.running import measure, start_targets
from benchmarks.stack import Source, Stack, StackError

_PAGE, _CHART = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.svg"


def main() -> int:
    arguments = _arguments()
    options = Options(
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        minutes=arguments.minutes,
        seeded=arguments.seed,
        warm_up=arguments.warm_up,
        sockets=arguments.sockets,
        verified=arguments.payments,
        growth=tuple(arguments.growth),
    )
    rows = _chosen(arguments.rows)
    if not is_measurable():
        print("This system has no /proc: CPU time and memory are not measured.")
    allow_files()
    folder = Path(tempfile.mkdtemp(prefix="mobinet-bench-"))
    try:
        results, machine, proof = uvloop.run(
            _run(rows, options, folder, compare=not arguments.alone)
        )
    except (StackError, EngineError) as error:
        print(error)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{table.terminal(results)}\n\n{proof}")
    command = " ".join(
        ["make bench", *([f'ARGS="{" ".join(sys.argv[1:])}"'] if sys.argv[1:] else [])]
    )
    if arguments.write or (len(rows) == len(ROWS) and options.rounds >= 3 and not arguments.alone):
        _PAGE.write_text(table.page(results, machine, command, proof))
        _CHART.write_text(chart.draw(results))
        print("Written: docs/benchmarks.md and docs/benchmarks.svg.")
    else:
        print(
            "To write docs/benchmarks.md, run all rows with at least three rounds, or add --write."
        )
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench")
    known = ", ".join(dict.fromkeys(word for row in ROWS for word in (row.group, row.key)))
    parser.add_argument("--rows", default="", help=f"rows or groups of them: {known}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each load")
    parser.add_argument("--minutes", type=float, default=45.0, help="after which no round begins")
    parser.add_argument("--seed", type=int, default=10_000, help="payments in each database")
    parser.add_argument("--warm-up", type=int, default=300, help="payments before the first round")
    parser.add_argument("--sockets", type=int, default=1000)
    parser.add_argument("--payments", type=int, default=100_000, help="payments for the row verify")
    parser.add_argument(
        "--growth",
        type=int,
        nargs=2,
        default=[],
        help="two sizes of the table, such as 10000 1000000",
    )
    parser.add_argument("--alone", action="store_true", help="without the pinned commit")
    parser.add_argument("--write", action="store_true", help="docs/benchmarks.md in any case")
    return parser.parse_args()


def _chosen(words: str) -> list[Row]:
    wanted = [word for word in words.replace(" ", "").split(",") if word]
    unknown = [word for word in wanted if not any(word in (row.key, row.group) for row in ROWS)]
    if unknown:
        sys.exit(f"Unknown rows: {', '.join(unknown)}. --help lists all rows.")
    return [row for row in ROWS if not wanted or row.key in wanted or row.group in wanted]


async def _run(
    rows: Sequence[Row], options: Options, folder: Path, *, compare: bool
) -> tuple[list[RowResult], Machine, str]:
    cancel_on_sigterm()
    sources: list[Source] = [ours(Path(sys.executable))]
    missing = "left out by --alone"
    if compare:
        print("pinned: preparing its environment", flush=True)
        try:
            sources.append(pinned())
        except PinnedUnavailable as reason:
            missing = str(reason)
    async with start_targets(sources, folder, options) as found:
        machine = await describe(found[OURS].stack.engine)
        results = await measure(rows, found, options)
        if len(sources) == 1:
            for result in results:
                if not result.row.only_ours:
                    result.reasons["pinned"] = missing
        return results, machine, await _proof(found[OURS].stack)


async def _proof(stack: Stack) -> str:
    """Return what `mobinet verify` reports about the payments of the run."""
    await stack.start_worker()
    await stack.drain()
    await stack.stop_worker()
    try:
        await stack.run("verify", "--signatures")
    except StackError as error:
        return f"`mobinet verify --signatures` afterwards failed: {str(error).splitlines()[-1]}"
    return "`mobinet verify --signatures` holds over all payments of the run"


if __name__ == "__main__":
    sys.exit(main())
