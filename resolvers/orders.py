"""A merchant's orders: created once, and paid once by whichever method the payer chooses."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from db import audit, orders, payments, staff
from db.audit import AuditEvent
from db.transaction import transaction
from domain.bills import AmountMismatch
from domain.gateways import Gateway, Purchase
from domain.idempotency import check_key
from domain.money import Money
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
from domain.payments import Payment, PaymentStatus
from domain.refusals import NotFound
from domain.sentences import Noun
from domain.staff import Actor, Operation, Staff, check, scope
from resolvers import gateways
from resolvers.audit import audited
from resolvers.context import Context
from resolvers.idempotency import CommandKey, claim, command_key, run_once
from resolvers.lost_races import retry_when_taken
from resolvers.payment_opening import add_attempt, new_payment, with_attempt
from resolvers.payment_start import Processed, Start, replay_payment, start_at_gateway

CREATE, PAY = "createOrder", "payOrder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """`replayed` is true where the merchant had this order before, by key or by reference."""

    order: Order
    replayed: bool = False


@audited(CREATE)
async def create(context: Context, request: CreateOrder) -> Created:
    """
    Store a new order under the merchant's own reference.

    A known reference with the same amount is the same order, whatever the key. Raises
    AmountMismatch where it is known with another amount.
    """
    actor = check(context.actor, Operation.SELL)
    check_key(request.idempotency_key)
    check_order(request)
    key = command_key(actor, CREATE, request.idempotency_key, request.facts)

    async def open_new() -> Created:
        return await retry_when_taken(lambda: _create(context, actor, request, key))

    async def finish(created: Created) -> Created:
        return created

    async def replay(order_id: str) -> Created:
        return Created(order=await orders.get(order_id), replayed=True)

    return await run_once(context, key, open_new=open_new, finish=finish, replay=replay)


@audited(PAY)
async def pay(context: Context, request: PayOrder) -> Processed:
    """
    Open a payment of the whole order; an unknown reference is created in the same transaction.

    Raises NotFound, AmountMismatch, OrderInPayment, OrderAlreadyPaid and GatewayUnavailable; after
    a refusal nothing has changed. A gateway that does not answer is no refusal.
    """
    actor = check(context.actor, Operation.SELL)
    check_key(request.idempotency_key)
    check_payment(request)
    key = command_key(actor, PAY, request.idempotency_key, request.facts)

    async def open_new() -> Start:
        gateway = await gateways.ready_gateway(context, request.method, order=True)
        assert gateway is not None, "an order is not paid in cash"
        payment = await retry_when_taken(lambda: _open(context, actor, request, key, gateway))
        purchase = _purchase(context, payment, gateway, request.card_token)
        return Start(payment=payment, gateway=gateway, purchase=purchase)

    async def finish(start: Start) -> Processed:
        return await start_at_gateway(context, key, start)

    async def replay(payment_id: str) -> Processed:
        return await replay_payment(context, payment_id)

    return await run_once(context, key, open_new=open_new, finish=finish, replay=replay)


async def read(context: Context, order_id: str) -> Order:
    """Return an order that the actor may see. Raises NotFound for any other."""
    actor = check(context.actor, Operation.READ_ORDER)
    return visible(await orders.by_id(order_id), actor, order_id)


async def payments_of(order: Order) -> list[Payment]:
    """Return every payment that was opened for the order, oldest first."""
    found = await payments.by_ids(await orders.payment_ids(order.id))
    return sorted(found, key=lambda payment: (payment.created_at, payment.id))


def visible(order: Order | None, actor: Actor, order_id: str) -> Order:
    """Return *order*. Raises NotFound where it is missing or not the actor's to see."""
    if order is None or not scope(actor).covers(staff_id=order.merchant_id, team=None):
        raise NotFound.of(Noun.ORDER, id=order_id)
    return order


# ── creating ─────────────────────────────────────────────────────────────────────────────────────


async def _create(context: Context, actor: Actor, request: CreateOrder, key: CommandKey) -> Created:
    """Claim the key for the order of this reference, new or known. Raises ReferenceTaken."""
    known = await orders.by_reference(actor.id, request.reference)
    if known is not None and known.money != Money(request.amount, request.currency):
        raise _mismatch(known, request.amount)
    order_id = known.id if known else context.ids.record("ORD")
    async with transaction():
        now = await claim(context, key, order_id, answered=True)
        order = known or _new(order_id, actor, request, now)
        if known is None:
            await _add(context, actor, order, now)
    return Created(order=order, replayed=known is not None)


def _new(order_id: str, actor: Actor, request: CreateOrder, now: datetime) -> Order:
    return Order(
        id=order_id,
        merchant_id=actor.id,
        merchant_name=actor.name,
        reference=request.reference,
        amount=request.amount,
        currency=request.currency,
        description=request.description,
        status=OrderStatus.OPEN,
        created_at=now,
    )


async def _add(context: Context, actor: Actor, order: Order, now: datetime) -> None:
    """Store a new order, in the caller's transaction. Raises ReferenceTaken."""
    # Whoever opens a payment needs a row among the staff: a merchant's program too.
    await staff.upsert(Staff(staff_id=actor.id, name=actor.name, role=actor.role), now)
    await orders.add(order)
    await audit.append(
        AuditEvent(
            at=now,
            actor=context.actor_id,
            action=CREATE,
            request_id=context.request_id,
            details={"order": order.id, "reference": order.reference, "amount": order.amount},
        )
    )


# ── paying ───────────────────────────────────────────────────────────────────────────────────────


async def _open(
    context: Context, actor: Actor, request: PayOrder, key: CommandKey, gateway: Gateway
) -> Payment:
    """
    Open the order's payment in one transaction, before its gateway is called.

    Raises KeyTaken, ReferenceTaken, and the refusals of `pay`.
    """
    payment_id = context.ids.payment()
    async with transaction():
        now = await claim(context, key, payment_id, answered=False)
        pending = new_payment(context, payment_id, actor, request.method, request.amount, now)
        order = await _lock_order(context, actor, request, now)
        if request.amount != order.amount:
            raise _mismatch(order, request.amount)
        await _check_free(order)
        pending = replace(pending, order=order, return_url=request.return_url)
        charge = gateways.gateway_charge(
            context, gateway, order.money, now, method=request.method, order=True
        )
        payment = with_attempt(context, pending, gateway.name, charge, now)
        await payments.add(payment)
        await add_attempt(context, payment, now)
    return payment


async def _lock_order(context: Context, actor: Actor, request: PayOrder, now: datetime) -> Order:
    """
    Return the order to be paid, locked; a new one for an unknown reference.

    Raises NotFound, ReferenceTaken.
    """
    order_id = request.order_id or ""
    if request.reference is not None:
        order = await orders.by_reference(actor.id, request.reference)
        if order is None:
            new = CreateOrder(
                idempotency_key=request.idempotency_key,
                reference=request.reference,
                amount=request.amount,
            )
            order = _new(context.ids.record("ORD"), actor, new, now)
            await _add(context, actor, order, now)
        order_id = order.id
    return visible(await orders.lock(order_id), actor, order_id)


async def _check_free(order: Order) -> None:
    """Raise where the order is paid, or a payment of it is open. The order's row is locked."""
    payment_id = await orders.collecting_payment_id(order.id)
    if payment_id is None:
        return
    payment = await payments.get(payment_id)
    if payment.status is PaymentStatus.SUCCESS:
        raise OrderAlreadyPaid(bill_number=None, paid_at=payment.completed_at)
    raise OrderInPayment(
        bill_number=None,
        payment_id=payment.id,
        held_by=payment.staff_name,
        method=payment.method,
        until=payment.expires_at,
    )


def _mismatch(order: Order, amount: int) -> AmountMismatch:
    return AmountMismatch(id=order.reference, expected=order.amount, requested=amount)


def _purchase(
    context: Context, payment: Payment, gateway: Gateway, card_token: str | None
) -> Purchase:
    assert payment.order is not None, "this payment was opened for an order"
    return Purchase(
        description=f"Thanh toan don hang {payment.order.reference}",
        customer_name=payment.staff_name,
        customer_phone=None,
        client_ip=context.client_ip,
        return_url=context.confirmation_link(payment.receipt_token),
        card_token=card_token,
        notify_url=gateways.notify_url(context, gateway.name),
    )
