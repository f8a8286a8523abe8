"""What was changed, by order, of the staff and contracts that are otherwise computed."""

from __future__ import annotations

import json
from typing import Any

from sandbox.store import Store


class Overrides:
    """Kept in the store and read from memory: every request looks here."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed: dict[tuple[str, str], dict[str, Any]] = {
            (row["kind"], row["id"]): json.loads(row["fields"])
            for row in store.all("select * from overrides")
        }

    def of(self, kind: str, id: str) -> dict[str, Any]:
        return self._changed.get((kind, id), {})

    def set(self, kind: str, id: str, fields: dict[str, Any]) -> None:
        fields = self.of(kind, id) | fields
        self._changed[kind, id] = fields
        self._store.run(
            "insert or replace into overrides values (?, ?, ?)", kind, id, json.dumps(fields)
        )

    def forget(self) -> None:
        self._changed.clear()
        self._store.run("delete from overrides")
