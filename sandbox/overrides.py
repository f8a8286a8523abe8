"""Changes to the otherwise computed staff and contracts, as ordered through the controls."""

from __future__ import annotations

import json
from typing import Any

from sandbox.store import Store


class Overrides:
    """Stored in the database and cached in memory, because every request reads them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed: dict[tuple[str, str], dict[str, Any]] = {
            (row["kind"], row["id"]): json.loads(row["fields"])
            for row in store.fetch_rows("select * from overrides")
        }

    def of(self, kind: str, id: str) -> dict[str, Any]:
        return self._changed.get((kind, id), {})

    def set(self, kind: str, id: str, fields: dict[str, Any]) -> None:
        fields = self.of(kind, id) | fields
        self._changed[kind, id] = fields
        self._store.execute(
            "insert or replace into overrides values (?, ?, ?)", kind, id, json.dumps(fields)
        )

    def clear(self) -> None:
        self._changed.clear()
        self._store.execute("delete from overrides")
