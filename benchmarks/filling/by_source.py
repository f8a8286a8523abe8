"""A database of valid payments, made by a source tree's own `benchmarks.filling`."""

from __future__ import annotations

import asyncio
import subprocess

from benchmarks.stack import Stack, StackError

_FILL = """
import sys
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.filling import fill

url, pem, count = sys.argv[1:]
fill(url, Path(pem).read_text(), int(count), datetime.now(UTC))
"""


async def fill(stack: Stack, count: int) -> None:
    """Add *count* payments to the stack's empty, migrated database. Raises StackError."""
    keys = stack.folder / "data" / "keys" / "receipts.pem"
    process = await asyncio.create_subprocess_exec(
        str(stack.source.python),
        "-c",
        _FILL,
        stack.engine.database_url,
        str(keys),
        str(count),
        cwd=stack.source.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise StackError(f"{stack.name}: {output.decode(errors='replace')[-2000:]}")
