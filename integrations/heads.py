"""The chain's heads, told outside of the database: lines of a file that only grows."""

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
        """Write the head of *seal* down; it is on the disk when this returns."""
        told = {
            "number": seal.last,
            "head": seal.head.hex(),
            "key_id": seal.key_id,
            "signature": seal.signature.hex(),
            "first": seal.first,
            "sealed_at": seal.sealed_at.isoformat(),
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(("\n" if self._is_torn() else "") + json.dumps(told) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> Iterator[Head]:
        """Yield what was told, line by line; a line that a crash tore off tells nothing."""
        if not self.path.exists():
            return
        with self.path.open() as file:
            for line in file:
                if not line.endswith("\n"):
                    return
                try:
                    told = json.loads(line)
                except json.JSONDecodeError:
                    continue
                yield Head(number=told["number"], hash=bytes.fromhex(told["head"]))

    def _is_torn(self) -> bool:
        """Tell whether the last line has no end: whoever wrote it died, or found the disk full."""
        if not self.path.exists() or self.path.stat().st_size == 0:
            return False
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read() != b"\n"
