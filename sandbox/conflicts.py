"""Refused requests that would have taken effect twice; a correct client causes none."""

from __future__ import annotations

from sandbox.store import Store
from sandbox.web import Json


class Conflicts:
    def __init__(self, store: Store) -> None:
        self._store = store

    def note(self, system: str, transaction_id: str, contract_number: str, detail: str) -> None:
        self._store.execute(
            "insert into conflicts values (?, ?, ?, ?, 1)"
            " on conflict do update set times = times + 1",
            system, transaction_id, contract_number, detail,
        )  # fmt: skip

    def list(self) -> list[Json]:
        return [dict(row) for row in self._store.fetch_rows("select * from conflicts")]
