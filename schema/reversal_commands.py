"""Undoing a success: voiding cash, giving money back."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

import strawberry

from domain.reversals import RefundOf
from resolvers import reversals as resolve
from schema.common import Amount, Info, Refusal, attempted
from schema.payments import Payment
from schema.reversals import Reversal

strawberry.enum(
    RefundOf,
    description="PAID: what the bills or the order were paid with. CREDIT: what was paid beyond that, or two people"
    " credited, and the customer has with us.",
)


@strawberry.input
class RefundInput:
    idempotency_key: str
    payment_id: strawberry.ID
    amount: Amount
    reason: str
    of: RefundOf | None = RefundOf.PAID


@strawberry.type
class ReversalPayload:
    payment: Payment | None = None
    reversal: Reversal | None = None
    replayed: bool = False
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class ReversalMutation:
    @strawberry.mutation(
        description="Undo a cash payment whose money is still with its collector: by the collector on"
        " its Vietnamese day, else by a supervisor. Its bills are open again. Large ones await a second"
        " person."
    )
    async def void_cash_payment(
        self, info: Info, id: strawberry.ID, reason: str, idempotency_key: str
    ) -> ReversalPayload:
        work = resolve.void(info.context, id, reason=reason, idempotency_key=idempotency_key)
        return await _answered(work)

    @strawberry.mutation(
        description="Give back a success, or a part of it, by the way it came. Large ones await a second"
        " person. A reversal that is UNKNOWN is asked about: never send it again with a new key."
    )
    async def refund_payment(self, info: Info, input: RefundInput) -> ReversalPayload:
        work = resolve.refund(
            info.context,
            input.payment_id,
            amount=input.amount,
            reason=input.reason,
            idempotency_key=input.idempotency_key,
            of=input.of or RefundOf.PAID,
        )
        return await _answered(work)


async def _answered(work: Awaitable[resolve.Reversed]) -> ReversalPayload:
    done, errors = await attempted(work)
    if done is None:
        return ReversalPayload(errors=errors)
    return ReversalPayload(
        payment=cast("Payment", done.payment),
        reversal=cast("Reversal", done.reversal),
        replayed=done.replayed,
    )
