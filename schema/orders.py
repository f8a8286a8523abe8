"""Merchants' orders, as the API shows and takes them."""

from __future__ import annotations

from typing import cast

import strawberry

from domain import orders
from domain.methods import PaymentMethod
from domain.money import Currency
from resolvers import orders as resolve
from schema.common import Amount, Info, Refusal, attempted, given, said
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
            description=self.description or "",
        )


@strawberry.input
class PayOrderInput:
    idempotency_key: str
    order_id: strawberry.ID
    amount: Amount
    method: PaymentMethod
    payment_token: str | None = strawberry.field(
        default=None, description="A card's token at the card gateway, for CARD only."
    )
    return_url: str | None = None

    def to_domain(self) -> orders.PayOrder:
        return orders.PayOrder(
            idempotency_key=self.idempotency_key,
            order_id=self.order_id,
            amount=self.amount,
            method=self.method,
            return_url=given(self.return_url),
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
        description="Keep an order under the merchant's own reference: the same reference and amount is"
        " the same order."
    )
    async def create_order(self, info: Info, input: CreateOrderInput) -> CreateOrderPayload:
        done, errors = await attempted(resolve.create(info.context, input.to_domain()))
        if done is None:
            return CreateOrderPayload(errors=errors)
        return CreateOrderPayload(order=cast("Order", done.order), replayed=done.replayed)

    @strawberry.mutation(description="Open a payment of the whole order: a QR or a payment page.")
    async def pay_order(self, info: Info, input: PayOrderInput) -> PayOrderPayload:
        done, errors = await attempted(resolve.pay(info.context, input.to_domain()))
        if done is None:
            return PayOrderPayload(errors=errors)
        return PayOrderPayload(
            payment=cast("Payment", done.payment),
            replayed=done.replayed,
            errors=said(done.refusals),
        )
