"""The messages that were sent, whichever system sent them."""

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
        self._store.run(
            "insert into messages values (?, ?, ?, ?, ?, ?, ?, ?)",
            message_id, self._system, recipient, template, transaction_id, key, message,
            clock.now(),
        )  # fmt: skip
        return message_id


def sent(store: Store) -> list[Json]:
    """Each message once, with how many times its recipient got it."""
    rows = store.all(
        "select system, recipient, template, transaction_id, count(*) as times,"
        " max(message) as message from messages"
        " group by system, recipient, template, transaction_id,"
        # Texts that name no transaction are told apart by their key.
        " case when transaction_id is null then key end order by min(at)"
    )
    return [dict(row) for row in rows]
