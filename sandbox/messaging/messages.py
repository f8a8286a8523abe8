"""The sent messages of all messaging systems."""

from __future__ import annotations

import secrets

from sandbox import clock
from sandbox.store import Store
from sandbox.web import Json


class Messages:
    def __init__(self, store: Store, system: str) -> None:
        self._store = store
        self._system = system

    def send(
        self,
        *,
        recipient: str,
        template: str | None,
        transaction_id: str | None,
        key: str,
        message: str | None,
    ) -> str:
        message_id = f"{self._system}_{secrets.token_hex(10)}"
        self._store.execute(
            "insert into messages values (?, ?, ?, ?, ?, ?, ?, ?)",
            message_id, self._system, recipient, template, transaction_id, key, message,
            clock.now(),
        )  # fmt: skip
        return message_id


def sent_messages(store: Store) -> list[Json]:
    """Return each message once, with how many times it was sent to its recipient."""
    rows = store.fetch_rows(
        "select system, recipient, template, transaction_id, count(*) as times,"
        " max(message) as message from messages"
        " group by system, recipient, template, transaction_id,"
        # Texts without a transaction are distinguished by their idempotency key.
        " case when transaction_id is null then key end order by min(at)"
    )
    return [dict(row) for row in rows]
