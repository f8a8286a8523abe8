"""The ordered faults, and the choice of the requests that they affect."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import asdict, dataclass

from sandbox.store import Store
from sandbox.web import Json

KINDS = ("timeout", "reset", "500", "slow", "truncated", "refuse")
SECONDS = {"timeout": 35.0, "slow": 3.0}


@dataclass(slots=True, kw_only=True)
class Fault:
    id: int
    system: str
    fault: str
    times: int | None  # None: until a reset
    probability: float
    after_processing: bool
    path: str
    seconds: float


def _read(row: sqlite3.Row) -> Fault:
    fault = Fault(**dict(row))
    fault.after_processing = bool(fault.after_processing)
    return fault


class Faults:
    """Stored in the database, so that faults survive a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._active = [_read(row) for row in store.fetch_rows("select * from faults order by id")]

    def order(
        self,
        *,
        system: str,
        fault: str,
        times: int | None,
        probability: float,
        after_processing: bool,
        path: str,
        seconds: float | None,
    ) -> None:
        self._store.execute(
            "insert into faults (system, fault, times, probability, after_processing, path,"
            " seconds) values (?, ?, ?, ?, ?, ?, ?)",
            system, fault, times, probability, after_processing, path,
            SECONDS.get(fault, 0.0) if seconds is None else seconds,
        )  # fmt: skip
        row = self._store.fetch_row("select * from faults order by id desc limit 1")
        assert row is not None
        self._active.append(_read(row))

    def take(self, system: str, path: str) -> Fault | None:
        """Return the oldest fault that affects this request and count it as used, or None."""
        for fault in self._active:
            if fault.system != system or fault.path not in path:
                continue
            if random.random() >= fault.probability:
                continue
            if fault.times is not None:
                fault.times -= 1
                self._store.execute(
                    "update faults set times = ? where id = ?", fault.times, fault.id
                )
                if fault.times <= 0:
                    self._active.remove(fault)
                    self._store.execute("delete from faults where id = ?", fault.id)
            return fault
        return None

    def list(self) -> list[Json]:
        return [asdict(fault) for fault in self._active]

    def end(self) -> None:
        self._active.clear()
        self._store.execute("delete from faults")
