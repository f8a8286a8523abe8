"""A merchant's orders: created once, paid once, by whichever method the payer likes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from db import attempts, idempotency, jobs, orders, payments, staff
from db import audit as trail
from db.audit import AuditEvent
from db.jobs import Job
from db.transaction import transaction
from domain.attempts import Attempt, AttemptStatus
from domain.bills import AmountMismatch
from domain.calendar import business_date
from domain.gateways import Gateway, Purchase
from domain.idempotency import check_key, fingerprint
from domain.money import Currency, Money
from domain.orders import (
    CreateOrder,
    Order,
    OrderAlreadyPaid,
    OrderInPayment,
    OrderStatus,
    PayOrder,
    check_order,
    check_payment,
)
from domain.payments import Notify, Payment, PaymentStatus
from domain.refusals import NotFound, Refusal
from domain.staff import Actor, Operation, Staff, check, scope
from resolvers import audit, gateways
from resolvers.audit import command
from resolvers.context import Context
from resolvers.idempotency import earlier
from resolvers.payment_start import ClaimedKey, ask
from resolvers.payments import FOLLOW_UP, Processed, replayed

CREATE, PAY = "createOrder", "payOrder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """`replayed` says that the merchant had this order already, by key or by reference."""

    order: Order
    replayed: bool = False


@command(CREATE)
async def create(context: Context, asked: CreateOrder) -> Created:
    """
    Keep a new order under the merchant's own reference.

    A known reference with the same facts is the same order, whatever the key. Raises AmountMismatch
    where it is known with another amount.
    """
    actor = check(context.actor, Operation.SELL)
    check_key(asked.idempotency_key)
    check_order(asked)
    print_ = fingerprint(CREATE, asked.facts)
    while True:
        order_id = await earlier(context, actor.id, CREATE, asked.idempotency_key, print_)
        if order_id is not None:
            return Created(order=await _kept(order_id), replayed=True)
        if (created := await _create(context, actor, asked, print_)) is not None:
            return created


@command(PAY)
async def pay(context: Context, asked: PayOrder) -> Processed:
    """
    Open a payment of the whole order. One that is made for it is made in the same transaction.

    Raises NotFound, AmountMismatch, OrderInPayment, OrderAlreadyPaid and GatewayUnavailable; after a
    refusal nothing has changed. A gateway's silence is no refusal, as in `resolvers.payments`.
    """
    actor = check(context.actor, Operation.SELL)
    check_key(asked.idempotency_key)
    check_payment(asked)
    print_ = fingerprint(PAY, asked.facts)
    claim = ClaimedKey(actor_id=actor.id, operation=PAY, key=asked.idempotency_key)
    if (known := await replayed(context, claim, print_)) is not None:
        return known
    try:
        gateway = await gateways.ready(context, asked.method, order=True)
        assert gateway is not None, "an order is not paid in cash"
        try:
            payment = await _promise(context, actor, asked, print_, gateway)
        except orders.ReferenceTaken:  # made since we looked for it
            payment = await _promise(context, actor, asked, print_, gateway)
    except Refusal:
        # The same key may have won meanwhile, and what is in the way be its own payment.
        if (known := await replayed(context, claim, print_)) is None:
            raise
        return known
    if payment is None:  # the same key won the race
        known = await replayed(context, claim, print_)
        assert known is not None
        return known
    purchase = _purchase(context, payment, gateway, asked.card_token)
    return Processed(payment=await ask(context, claim, payment, gateway, purchase))


async def read(context: Context, order_id: str) -> Order:
    """Return an order that the asker may see. Raises NotFound for any other."""
    actor = check(context.actor, Operation.READ_ORDER)
    return visible(await orders.by_id(order_id), actor, order_id)


async def payments_of(order: Order) -> list[Payment]:
    """Return every payment that was opened for the order, oldest first."""
    found = {by_id.id: by_id for by_id in await payments.by_ids(await orders.payment_ids(order.id))}
    return sorted(found.values(), key=lambda payment: (payment.created_at, payment.id))


def visible(order: Order | None, actor: Actor, order_id: str) -> Order:
    """Return *order*; what is not the actor's reads as not found."""
    if order is None or not scope(actor).covers(staff_id=order.merchant_id, team=None):
        raise NotFound(what_vi="đơn hàng", what_en="order", id=order_id)
    return order


async def _create(
    context: Context, actor: Actor, asked: CreateOrder, print_: bytes
) -> Created | None:
    """Return the order, new or of the same reference; None where another request won meanwhile."""
    now = await context.clock()
    known = await orders.by_reference(actor.id, asked.reference)
    if known is not None and known.money != Money(asked.amount, asked.currency):
        raise AmountMismatch(id=known.reference, expected=known.amount, requested=asked.amount)
    order = known or _new(context, actor, asked, now)
    try:
        async with transaction():
            if not await idempotency.claim(
                actor.id,
                CREATE,
                asked.idempotency_key,
                fingerprint=print_,
                subject_id=order.id,
                process=context.process,
                now=now,
                answered=True,
            ):
                return None
            if known is None:
                await _keep(context, actor, order, now)
    except orders.ReferenceTaken:
        return None
    return Created(order=order, replayed=known is not None)


def _new(context: Context, actor: Actor, asked: CreateOrder, now: datetime) -> Order:
    return Order(
        id=context.ids.record("ORD"),
        merchant_id=actor.id,
        merchant_name=actor.name,
        reference=asked.reference,
        amount=asked.amount,
        currency=asked.currency,
        description=asked.description,
        status=OrderStatus.OPEN,
        created_at=now,
    )


async def _keep(context: Context, actor: Actor, order: Order, now: datetime) -> None:
    """Write a new order; in the caller's transaction. Raises ReferenceTaken."""
    # Whoever opens a payment is kept among the staff: a merchant's program too.
    await staff.learn(Staff(staff_id=actor.id, name=actor.name, role=actor.role), now)
    await orders.add(order)
    await trail.record(
        AuditEvent(
            at=now,
            actor=context.actor_id,
            action=CREATE,
            request_id=context.request_id,
            details={"order": order.id, "reference": order.reference, "amount": order.amount},
        )
    )


async def _kept(order_id: str) -> Order:
    order = await orders.by_id(order_id)
    assert order is not None, "a key is kept in the transaction of its order"
    return order


async def _promise(
    context: Context, actor: Actor, asked: PayOrder, print_: bytes, gateway: Gateway
) -> Payment | None:
    """Write the promise in one transaction; None where the same key was claimed by another request."""
    now = await context.clock()
    payment_id = context.ids.payment()
    async with transaction():
        if not await idempotency.claim(
            actor.id,
            PAY,
            asked.idempotency_key,
            fingerprint=print_,
            subject_id=payment_id,
            process=context.process,
            now=now,
            answered=False,
        ):
            return None
        order = await _locked(context, actor, asked, now)
        if asked.amount != order.amount:
            raise AmountMismatch(id=order.reference, expected=order.amount, requested=asked.amount)
        await _check_free(order)
        attempt = Attempt(
            reference=context.ids.reference(),
            payment_id=payment_id,
            gateway=gateway.name,
            status=AttemptStatus.CREATED,
            money=gateways.charged(
                context, gateway, order.money, now, method=asked.method, order=True
            ),
            created_at=now,
            expires_at=now + context.terms.qr_lifetime,
        )
        payment = Payment(
            id=payment_id,
            version=1,
            status=PaymentStatus.PENDING,
            method=asked.method,
            amount=order.amount,
            currency=Currency.VND,
            contract_number=None,
            customer_name="",
            items=(),
            staff_id=actor.id,
            staff_name=actor.name,
            team=None,
            business_date=business_date(now),
            receipt_token=context.ids.receipt(),
            notify=Notify(),
            created_at=now,
            updated_at=now,
            expires_at=attempt.expires_at,
            attempt=attempt,
            order=order,
            return_url=asked.return_url,
        )
        await payments.add(payment)
        await attempts.add(attempt)
        await audit.record(context, "create", None, payment, now)
        await jobs.enqueue([Job(name="follow_up", subject=payment.id, after=FOLLOW_UP)])
    return payment


async def _locked(context: Context, actor: Actor, asked: PayOrder, now: datetime) -> Order:
    """Return the order that is to be paid, locked; a new one where its reference is. Raises NotFound, ReferenceTaken."""
    order_id = asked.order_id or ""
    if asked.reference is not None:
        known = await orders.by_reference(actor.id, asked.reference)
        if known is None:
            made = CreateOrder(
                idempotency_key=asked.idempotency_key,
                reference=asked.reference,
                amount=asked.amount,
            )
            known = _new(context, actor, made, now)
            await _keep(context, actor, known, now)
        order_id = known.id
    return visible(await orders.lock(order_id), actor, order_id)


async def _check_free(order: Order) -> None:
    """Raise where the order is paid, or a payment of it is open. The order's row is locked."""
    payment_id = await orders.collection(order.id)
    if payment_id is None:
        return
    payment = await payments.by_id(payment_id)
    assert payment is not None
    if payment.status is PaymentStatus.SUCCESS:
        raise OrderAlreadyPaid(bill_number=None, paid_at=payment.completed_at)
    raise OrderInPayment(
        bill_number=None,
        payment_id=payment.id,
        held_by=payment.staff_name,
        method=payment.method,
        until=payment.expires_at,
    )


def _purchase(
    context: Context, payment: Payment, gateway: Gateway, card_token: str | None
) -> Purchase:
    assert payment.order is not None
    return Purchase(
        description=f"Thanh toan don hang {payment.order.reference}",
        customer_name=payment.staff_name,
        customer_phone=None,
        client_ip=context.client_ip,
        return_url=context.confirmation_link(payment.receipt_token),
        card_token=card_token,
        notify_url=gateways.notify_url(context, gateway.name),
    )
