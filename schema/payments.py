"""Payments: started, read, verified, cancelled and followed."""

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
from schema.common import Amount, Info, Refusal, as_payload, refusal_values, with_refusals
from schema.graphql.batching import batched
from schema.graphql.publish import publishes
from schema.payment_history import Failure, PaymentHistory
from schema.reversals import Reversal

strawberry.enum(payments.PaymentStatus)
strawberry.enum(payments.Custody)
strawberry.enum(payments.HoldReason)
strawberry.enum(payments.PostingStatus)
strawberry.enum(bills.ItemType)
strawberry.enum(orders.OrderStatus)
strawberry.enum(Currency)


@publishes(bills.Item, name="PaymentItem")
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


@publishes(
    QrCode,
    name="Qr",
    description="The QR code that the customer scans: its EMV payload, and an image as a data URI.",
)
class Qr:
    payload: str
    image: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class StaffReference:
    staff_id: str
    name: str


@publishes(StaffReference, description="The member of staff who took a payment.")
class Collector:
    staff_id: strawberry.ID
    name: str


@publishes(orders.Order, description="A merchant's order; a payment of bills has none.")
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
        graphql_type=list["Payment"], description="Every payment started for it, oldest first."
    )
    async def payments(self, root: strawberry.Parent[orders.Order]) -> list[payments.Payment]:
        return await payments_of(root)


@publishes(
    receipts.Signature,
    description="An Ed25519 signature over the UTF-8 bytes of `payload`, by a key of the JWKS.",
)
class Signature:
    algorithm: str
    key_id: str
    value: str
    payload: str


Parent = strawberry.Parent[payments.Payment]


@publishes(payments.Payment, description="One try at paying bills, fees or an order by one method.")
class Payment(PaymentHistory):
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

    @strawberry.field(
        description="The address of the public receipt page, where anyone can verify the payment."
    )
    def confirmation_link(self, info: Info, root: Parent) -> str:
        return info.context.confirmation_link(root.receipt_token)

    @strawberry.field(graphql_type=Qr | None)
    def qr(self, root: Parent) -> QrCode | None:
        if root.qr_payload is None or root.expires_at is None:
            return None
        return QrCode(payload=root.qr_payload, expires_at=root.expires_at)

    @strawberry.field(
        graphql_type=list[Reversal], description="Its voids and refunds, oldest first."
    )
    async def reversals(self, info: Info, root: Parent) -> list[reversals.Reversal]:
        return await batched(info.context, of_payments).load(root.id)

    @strawberry.field(graphql_type=Collector)
    def staff(self, root: Parent) -> StaffReference:
        return StaffReference(staff_id=root.staff_id, name=root.staff_name)

    @strawberry.field(
        graphql_type=Signature,
        description="For a final payment, the signature made when it became final.",
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

    def to_domain(self) -> payment_request.NotificationChannels:
        channels = {name: wish for name, wish in vars(self).items() if wish is not None}
        return payment_request.NotificationChannels(**channels)


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
        description="For CARD: the card gateway's token for the card, which is charged at once."
        " Without it the payment gets a `paymentUrl`. Never send a card number.",
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
        description="Start a payment of bills and fees: cash completes at once; other methods get"
        " a QR or a payment page. The same key and input return the same payment."
    )
    async def process_payment(
        self, info: Info, input: ProcessPaymentInput
    ) -> ProcessPaymentPayload:
        result, errors = await with_refusals(resolve.process(info.context, input.to_domain()))
        if result is None:
            return ProcessPaymentPayload(errors=errors)
        return ProcessPaymentPayload(
            payment=cast("Payment", result.payment),
            replayed=result.replayed,
            errors=refusal_values(result.refusals),
        )

    @strawberry.mutation(description="Ask the gateway now for the payment's outcome.")
    async def verify_payment(self, info: Info, id: strawberry.ID) -> PaymentPayload:
        return await as_payload(PaymentPayload, "payment", payment_inquiry.verify(info.context, id))

    @strawberry.mutation(description="Cancel an unpaid payment and unlock its bills.")
    async def cancel_payment(self, info: Info, id: strawberry.ID, reason: str) -> PaymentPayload:
        work = payment_inquiry.cancel(info.context, id, reason=reason)
        return await as_payload(PaymentPayload, "payment", work)


@strawberry.type
class PaymentSubscription:
    @strawberry.subscription(
        graphql_type=Payment,
        description="The payment at once, and then each newer version, until it is final.",
    )
    async def payment_status(
        self, info: Info, id: strawberry.ID
    ) -> AsyncGenerator[payments.Payment]:
        async for payment in payment_watch.payment(info.context, id):
            yield payment


@lru_cache(maxsize=2048)
def qr_image(payload: str) -> str:
    """Return the QR code as an SVG data URI, with the quiet zone that scanners need."""
    svg = io.BytesIO()
    segno.make(payload, error="m", micro=False).save(svg, kind="svg", scale=4, border=4)
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode()}"
