"""Rotating a key: the audit row is written in the transaction that puts the new key in place."""

from __future__ import annotations

from collections.abc import Callable

from db import audit
from db.audit import AuditEvent
from db.transaction import transaction
from resolvers.audit import audited
from resolvers.context import Context


@audited("rotateKey")
async def rotate(context: Context, *, name: str, key_id: str, put: Callable[[], None]) -> None:
    """
    Put a new signing key in place by *put*, and write its audit row.

    What *put* raises leaves nothing but the audit row of the failed command.
    """
    now = await context.clock()
    async with transaction():
        await audit.append(
            AuditEvent(
                at=now,
                actor=context.actor_id,
                action="rotateKey",
                details={"name": name, "key": key_id},
            )
        )
        put()  # last: if the commit fails after it, the command fails although the key is in place
