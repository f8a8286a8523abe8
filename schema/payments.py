"""Payments, as the API shows and takes them."""

from __future__ import annotations

import base64
import io
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import cast

import segno
import strawberry

from domain import bills, orders, payment_request, payments, receipts, reversals
from domain.methods import GatewayName, PaymentMethod
from domain.money import Currency
from resolvers import payment_inquiry, payment_watch
from resolvers import payments as resolve
from resolvers.orders import payments_of
from resolvers.receipts import signatures
from resolvers.reversals import of_payments
from schema.common import Amount, Info, Refusal, answered, attempted, said
from schema.graphql.batching import batched
from schema.graphql.publish import shows
from schema.payment_history import Failure, History
from schema.reversals import Reversal

strawberry.enum(payments.PaymentStatus)
strawberry.enum(payments.Custody)
strawberry.enum(payments.HoldReason)
strawberry.enum(payments.PostingStatus)
strawberry.enum(bills.ItemType)
strawberry.enum(orders.OrderStatus)
strawberry.enum(Currency)


@shows(bills.Item, name="PaymentItem")
class PaymentItem:
    type: bills.ItemType
    id: strawberry.ID
    amount: Amount


@dataclass(frozen=True, slots=True)
class QrCode:
    payload: str
    expires_at: datetime

    @property
    def image(self) -> str:
        return qr_image(self.payload)


@shows(QrCode, name="Qr", description="What the customer scans: an EMV payload, and its picture.")
class Qr:
    payload: str
    image: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Taker:
    staff_id: str
    name: str


@shows(Taker, description="The member of staff who took a payment.")
class Collector:
    staff_id: strawberry.ID
    name: str


@shows(orders.Order, description="A merchant's generic order; a bill payment has none.")
class Order:
    id: strawberry.ID
    reference: str
    amount: Amount
    currency: Currency
    description: str
    status: orders.OrderStatus
    created_at: datetime
    paid_at: datetime | None

    @strawberry.field(
        graphql_type=list["Payment"], description="Every payment opened for it, oldest first."
    )
    async def payments(self, root: strawberry.Parent[orders.Order]) -> list[payments.Payment]:
        return await payments_of(root)


@shows(receipts.Signature, description="Ed25519 over the UTF-8 bytes of `payload`; see the JWKS.")
class Signature:
    algorithm: str
    key_id: str
    value: str
    payload: str


Parent = strawberry.Parent[payments.Payment]


@shows(payments.Payment, description="One try at collecting bills and fees by one method.")
class Payment(History):
    id: strawberry.ID
    version: int
    status: payments.PaymentStatus
    method: PaymentMethod
    amount: Amount
    currency: Currency
    contract_number: strawberry.ID | None
    customer_name: str
    order: Order | None
    items: list[PaymentItem]
    gateway: GatewayName | None
    gateway_reference: str | None
    needs_verification: bool
    hold_reason: payments.HoldReason | None
    custody: payments.Custody | None
    posting_status: payments.PostingStatus
    payment_url: str | None
    failure: Failure | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    expires_at: datetime | None

    @strawberry.field(description="The public receipt: whoever has the address can check it.")
    def confirmation_link(self, info: Info, root: Parent) -> str:
        return info.context.confirmation_link(root.receipt_token)

    @strawberry.field(graphql_type=Qr | None)
    def qr(self, root: Parent) -> QrCode | None:
        if root.qr_payload is None or root.expires_at is None:
            return None
        return QrCode(payload=root.qr_payload, expires_at=root.expires_at)

    @strawberry.field(
        graphql_type=list[Reversal], description="What was given back of it, in order."
    )
    async def reversals(self, info: Info, root: Parent) -> list[reversals.Reversal]:
        return await batched(info.context, of_payments).load(root.id)

    @strawberry.field(graphql_type=Collector)
    def staff(self, root: Parent) -> Taker:
        return Taker(staff_id=root.staff_id, name=root.staff_name)

    @strawberry.field(
        graphql_type=Signature,
        description="Of a final payment the one that was made when it became final.",
    )
    async def signature(self, info: Info, root: Parent) -> receipts.Signature:
        return await batched(info.context, signatures).load(root)


@strawberry.input
class PaymentItemInput:
    type: bills.ItemType
    id: strawberry.ID
    amount: Amount


@strawberry.input
class NotifyInput:
    hifpt: bool | None = True
    sms_zalo: bool | None = True
    email: bool | None = False

    def to_domain(self) -> payment_request.NotifyWish:
        chosen = {name: wish for name, wish in vars(self).items() if wish is not None}
        return payment_request.NotifyWish(**chosen)


@strawberry.input
class ProcessPaymentInput:
    idempotency_key: str
    contract_number: strawberry.ID
    method: PaymentMethod
    items: list[PaymentItemInput]
    customer_phone: str | None = None
    notify: NotifyInput | None = None
    payment_token: str | None = strawberry.field(
        default=None,
        description="For CARD: what the card gateway gave the app for the card, which is then charged at"
        " once. Without it the payment has a `paymentUrl`. Never a card's number.",
    )

    def to_domain(self) -> payment_request.ProcessPayment:
        return payment_request.ProcessPayment(
            idempotency_key=self.idempotency_key,
            contract_number=self.contract_number,
            method=self.method,
            items=tuple(
                bills.Item(type=item.type, id=item.id, amount=item.amount) for item in self.items
            ),
            customer_phone=self.customer_phone,
            notify=(self.notify or NotifyInput()).to_domain(),
            card_token=self.payment_token,
        )


@strawberry.type
class ProcessPaymentPayload:
    payment: Payment | None = None
    replayed: bool = False
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class PaymentPayload:
    payment: Payment | None = None
    errors: list[Refusal] = strawberry.field(default_factory=list[Refusal])


@strawberry.type
class PaymentQuery:
    @strawberry.field(graphql_type=Payment)
    async def payment(self, info: Info, id: strawberry.ID) -> payments.Payment:
        return await resolve.read(info.context, id)


@strawberry.type
class PaymentMutation:
    @strawberry.mutation(
        description="Take the money for bills and fees: at once in cash, or by a QR or a payment form."
        " The same key and input is the same payment, however often it is sent."
    )
    async def process_payment(
        self, info: Info, input: ProcessPaymentInput
    ) -> ProcessPaymentPayload:
        done, errors = await attempted(resolve.process(info.context, input.to_domain()))
        if done is None:
            return ProcessPaymentPayload(errors=errors)
        return ProcessPaymentPayload(
            payment=cast("Payment", done.payment),
            replayed=done.replayed,
            errors=said(done.refusals),
        )

    @strawberry.mutation(description="Ask the gateway now.")
    async def verify_payment(self, info: Info, id: strawberry.ID) -> PaymentPayload:
        return await answered(PaymentPayload, "payment", payment_inquiry.verify(info.context, id))

    @strawberry.mutation(description="End an unpaid payment; its bills are free again.")
    async def cancel_payment(self, info: Info, id: strawberry.ID, reason: str) -> PaymentPayload:
        work = payment_inquiry.cancel(info.context, id, reason=reason)
        return await answered(PaymentPayload, "payment", work)


@strawberry.type
class PaymentSubscription:
    @strawberry.subscription(
        graphql_type=Payment,
        description="The payment as it is, then each newer version; completes on a final state.",
    )
    async def payment_status(
        self, info: Info, id: strawberry.ID
    ) -> AsyncGenerator[payments.Payment]:
        async for current in payment_watch.payment(info.context, id):
            yield current


@lru_cache(maxsize=2048)
def qr_image(payload: str) -> str:
    """Return the payload as an SVG in a data URI, with the quiet zone that scanners need."""
    svg = io.BytesIO()
    segno.make(payload, error="m", micro=False).save(svg, kind="svg", scale=4, border=4)
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode()}"
