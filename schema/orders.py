"""Merchants' orders and their payments."""

from __future__ import annotations

from typing import cast

import strawberry

from domain import orders
from domain.methods import PaymentMethod
from domain.money import Currency
from resolvers import orders as resolve
from schema.common import Amount, Info, Refusal, non_blank, refusal_values, with_refusals
from schema.payments import Order, Payment


@strawberry.input
class CreateOrderInput:
    idempotency_key: str
    reference: str
    amount: Amount
    currency: Currency | None = Currency.VND
    description: str | None = ""

    def to_domain(self) -> orders.CreateOrder:
        return orders.CreateOrder(
            idempotency_key=self.idempotency_key,
            reference=self.reference,
            amount=self.amount,
            currency=self.currency or Currency.VND,
            description=non_blank(self.description) or "",
        )


@strawberry.input
class PayOrderInput:
    idempotency_key: str
    order_id: strawberry.ID
    amount: Amount
    method: PaymentMethod
    payment_token: str | None = strawberry.field(
        default=None, description="The card gateway's token for the card, for CARD only."
    )
    return_url: str | None = None

    def to_domain(self) -> orders.PayOrder:
        return orders.PayOrder(
            idempotency_key=self.idempotency_key,
            order_id=self.order_id,
            amount=self.amount,
            method=self.method,
            return_url=non_blank(self.return_url),
            card_token=self.payment_token,
        )


@strawberry.type
class CreateOrderPayload:
    order: Order | None = None
    replayed: bool = False
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class PayOrderPayload:
    payment: Payment | None = None
    replayed: bool = False
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class OrderQuery:
    @strawberry.field(graphql_type=Order)
    async def order(self, info: Info, id: strawberry.ID) -> orders.Order:
        return await resolve.read(info.context, id)


@strawberry.type
class OrderMutation:
    @strawberry.mutation(
        description="Create an order under the merchant's own reference. The same reference and"
        " amount return the same order."
    )
    async def create_order(self, info: Info, input: CreateOrderInput) -> CreateOrderPayload:
        result, errors = await with_refusals(resolve.create(info.context, input.to_domain()))
        if result is None:
            return CreateOrderPayload(errors=errors)
        return CreateOrderPayload(order=cast("Order", result.order), replayed=result.replayed)

    @strawberry.mutation(
        description="Start a payment of the whole order, by a QR or a payment page."
    )
    async def pay_order(self, info: Info, input: PayOrderInput) -> PayOrderPayload:
        result, errors = await with_refusals(resolve.pay(info.context, input.to_domain()))
        if result is None:
            return PayOrderPayload(errors=errors)
        return PayOrderPayload(
            payment=cast("Payment", result.payment),
            replayed=result.replayed,
            errors=refusal_values(result.refusals),
        )
