"""The append-only file of the audit chain's heads, outside the database."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from domain.chain import Head, Seal


class Heads:
    def __init__(self, path: Path) -> None:
        self.path = path

    def add(self, seal: Seal) -> None:
        """Append the head of *seal*; it is on the disk when this returns."""
        record = {
            "number": seal.last,
            "head": seal.head.hex(),
            "key_id": seal.key_id,
            "signature": seal.signature.hex(),
            "first": seal.first,
            "sealed_at": seal.sealed_at.isoformat(),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(("\n" if self._has_torn_line() else "") + json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> Iterator[Head]:
        """Yield the head of each line. A line that a crash left incomplete is skipped."""
        if not self.path.exists():
            return
        with self.path.open() as file:
            for line in file:
                if not line.endswith("\n"):
                    return
                try:
                    record = json.loads(line)
                except json.JSONDecodeError:
                    continue
                yield Head(number=record["number"], hash=bytes.fromhex(record["head"]))

    def _has_torn_line(self) -> bool:
        """Return whether the last line has no end: its writer died, or the disk was full."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"
