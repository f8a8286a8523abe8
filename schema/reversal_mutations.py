"""Voids of cash payments, and refunds."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import cast

import strawberry

from domain.reversals import RefundOf
from resolvers import reversals as resolve
from schema.common import Amount, Info, Refusal, with_refusals
from schema.payments import Payment
from schema.reversals import Reversal

strawberry.enum(
    RefundOf,
    description="PAID: the money that paid the bills or the order. CREDIT: the customer's credit"
    " with us, which is money paid beyond that, or credited by two people.",
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
        description="Void a cash payment whose money is still with its collector, and reopen its"
        " bills. The collector may void on the day of the payment (Vietnamese time), a supervisor"
        " later too. A large void needs a second person's approval."
    )
    async def void_cash_payment(
        self, info: Info, id: strawberry.ID, reason: str, idempotency_key: str
    ) -> ReversalPayload:
        work = resolve.void(info.context, id, reason=reason, idempotency_key=idempotency_key)
        return await _payload(work)

    @strawberry.mutation(
        description="Refund a successful payment, or a part of it, by its own method. A large"
        " refund needs a second person's approval. While a reversal is UNKNOWN we ask the gateway:"
        " do not request it again with a new key."
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
        return await _payload(work)


async def _payload(work: Awaitable[resolve.ReversalResult]) -> ReversalPayload:
    result, errors = await with_refusals(work)
    if result is None:
        return ReversalPayload(errors=errors)
    return ReversalPayload(
        payment=cast("Payment", result.payment),
        reversal=cast("Reversal", result.reversal),
        replayed=result.replayed,
    )
