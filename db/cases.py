"""Cases, opened in the transaction that found the money."""

from __future__ import annotations

from db.engine import execute
from domain.cases import Approval, Case


async def open_case(case: Case) -> None:
    """Keep a new case, with the approval that it may begin with."""
    await execute(
        """
        insert into money_case (id, kind, status, amount, payment, gateway, opened_at, reversal,
                                hand_in, about, decision)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        """,
        case.id,
        case.kind,
        case.status,
        case.amount,
        case.payment_id,
        case.gateway,
        case.opened_at,
        case.reversal_id,
        case.hand_in_id,
        case.about,
        case.decision,
    )
    for approval in case.approvals:
        await approve(case.id, approval)


async def approve(case_id: str, approval: Approval) -> None:
    """Write down one person's word; the same word of the same person is kept once."""
    await execute(
        """
        insert into case_approval (money_case, actor, decision, reason, at)
        values ($1, $2, $3, $4, $5) on conflict do nothing
        """,
        case_id,
        approval.actor,
        approval.decision,
        approval.reason,
        approval.at,
    )
