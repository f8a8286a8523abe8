"""Opening a case: money that does not fit is given to people, in the transaction that found it."""

from __future__ import annotations

from datetime import datetime

from db import cases
from domain.cases import Approval, Case, CaseKind, CaseStatus
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
    reversal_id: str | None = None,
    hand_in_id: str | None = None,
    about: str | None = None,
    asked: Approval | None = None,
) -> Case:
    """
    Open a case about *payment*, or about a *gateway* or a hand-in where no payment is known.

    `amount` is in VND. `asked` is the first of the two words: who asks for a reversal has said APPLY.
    """
    case = Case(
        id=context.ids.record("CASE"),
        kind=kind,
        status=CaseStatus.AWAITING_SECOND if asked else CaseStatus.OPEN,
        opened_at=now,
        amount=amount,
        payment_id=payment.id if payment else None,
        gateway=payment.gateway if payment else gateway,
        reversal_id=reversal_id,
        hand_in_id=hand_in_id,
        about=about,
        decision=asked.decision if asked else None,
        approvals=(asked,) if asked else (),
    )
    await cases.open_case(case)
    return case
