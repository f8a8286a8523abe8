"""The ledger's trial balance."""

from __future__ import annotations

from datetime import datetime

from db import ledger
from domain.ledger import AccountBalance
from domain.staff import Operation, check
from resolvers.context import Context


async def trial_balance(context: Context, at: datetime | None) -> tuple[AccountBalance, ...]:
    """Return each account with its sums of debits and credits up to *at*, by default now."""
    check(context.actor, Operation.READ_LEDGER)
    return await ledger.trial_balance(at or await context.clock())
