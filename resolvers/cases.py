"""Opening a case: money that does not fit is given to people, in the transaction that found it."""

from __future__ import annotations

from datetime import datetime

from db import cases
from domain.cases import Case, CaseKind, CaseStatus
from domain.methods import GatewayName
from domain.payments import Payment
from resolvers.context import Context


async def open_case(
    context: Context,
    kind: CaseKind,
    now: datetime,
    *,
    payment: Payment | None = None,
    gateway: GatewayName | None = None,
    amount: int | None = None,
) -> None:
    """Open a case about *payment*, or about a *gateway* where no payment is known."""
    await cases.open_case(
        Case(
            id=context.ids.record("CASE"),
            kind=kind,
            status=CaseStatus.OPEN,
            opened_at=now,
            amount=amount,
            payment_id=payment.id if payment else None,
            gateway=payment.gateway if payment else gateway,
        )
    )
