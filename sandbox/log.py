"""A log of the last requests to all systems, in memory and without secrets."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from itertools import count

from sandbox.clock import iso
from sandbox.web import Json


@dataclass(slots=True, kw_only=True)
class Entry:
    n: int
    at: float
    system: str
    method: str
    path: str
    operation: str | None
    idempotency_key: str | None
    status: int | None = None  # None while unanswered, and also where the connection was cut
    fault: str | None = None


class Log:
    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=50_000)
        self._numbers = count(1)

    def begin(
        self,
        *,
        at: float,
        system: str,
        method: str,
        path: str,
        operation: str | None,
        idempotency_key: str | None,
    ) -> Entry:
        entry = Entry(
            n=next(self._numbers),
            at=at,
            system=system,
            method=method,
            path=path,
            operation=operation,
            idempotency_key=idempotency_key,
        )
        self._entries.append(entry)
        return entry

    def read(self, system: str | None, since: int) -> list[Json]:
        return [
            asdict(entry) | {"at": iso(entry.at)}
            for entry in self._entries
            if entry.n > since and system in (None, entry.system)
        ]

    @property
    def last(self) -> int:
        return self._entries[-1].n if self._entries else 0

    def clear(self) -> None:
        self._entries.clear()
