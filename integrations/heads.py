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
            file.write(json.dumps(told) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def read(self) -> Iterator[Head]:
        """Yield what was told, line by line; a last line that a crash tore off is none."""
        if not self.path.exists():
            return
        with self.path.open() as file:
            for line in file:
                if line.endswith("\n"):
                    told = json.loads(line)
                    yield Head(number=told["number"], hash=bytes.fromhex(told["head"]))
