"""The machine of a run, without host names and paths."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.engine import Engine, run
from benchmarks.pinned import ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    lines: tuple[str, ...]
    """One fact a line."""


async def describe(engine: Engine) -> Machine:
    version = (await run(engine.database_url, "show server_version")).split()[0]
    kind = "embedded" if engine.is_embedded else "given"
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    node = _output("node", "--version") if shutil.which("node") else "no Node"
    return Machine(
        lines=(
            f"{_processor()}, {os.cpu_count()} cores, {_memory_gb()} GB, {platform.system()}",
            f"Python {platform.python_version()}, PostgreSQL {version} ({kind}), Node {node}",
            f"load average at the start: {load}",
            f"commit {_output('git', 'rev-parse', '--short', 'HEAD')}"
            f", {datetime.now(UTC):%Y-%m-%d}",
        )
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _output(*words: str) -> str:
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()
