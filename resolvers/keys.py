"""Keys that follow one another: a new one is written down by the transaction that puts it in place."""

from __future__ import annotations

from collections.abc import Callable

from db import audit
from db.audit import AuditEvent
from db.transaction import transaction
from resolvers.audit import audited
from resolvers.context import Context


@audited("rotateKey")
async def rotate(context: Context, *, name: str, key_id: str, put: Callable[[], None]) -> None:
    """Have *put* place the key *key_id*, which signs from now on; what it raises leaves no change but its audit row."""
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
        put()  # last: a commit that fails after it leaves a key that nobody wrote down, and says so
