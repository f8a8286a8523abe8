"""Opening a payment: what a new payment of bills and one of an order have in common."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from db import attempts
from db.jobs import Job
from domain.attempts import Attempt, AttemptStatus
from domain.calendar import business_date
from domain.methods import GatewayName, PaymentMethod
from domain.money import Currency, Money
from domain.payments import Notify, Payment, PaymentStatus
from domain.staff import Actor
from resolvers.attempts import attempt_of
from resolvers.context import Context
from resolvers.payment_transitions import Transition, record_transitions

FOLLOW_UP = timedelta(seconds=5)  # until the first look at a payment or refund that was opened


def new_payment(
    context: Context,
    payment_id: str,
    actor: Actor,
    method: PaymentMethod,
    amount: int,
    now: datetime,
) -> Payment:
    """Return a PENDING payment of *amount* VND; the operation adds what it is for."""
    return Payment(
        id=payment_id,
        version=1,
        status=PaymentStatus.PENDING,
        method=method,
        amount=amount,
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
    )


def with_attempt(
    context: Context, payment: Payment, gateway: GatewayName, charge: Money, now: datetime
) -> Payment:
    """Return *payment* with a new attempt to take *charge* through *gateway*."""
    expires_at = now + context.terms.qr_lifetime
    attempt = Attempt(
        reference=context.ids.reference(),
        payment_id=payment.id,
        gateway=gateway,
        status=AttemptStatus.CREATED,
        money=charge,
        created_at=now,
        expires_at=expires_at,
    )
    return replace(payment, expires_at=expires_at, attempt=attempt)


def creation(payment: Payment, now: datetime) -> Transition:
    """Return the transition that begins a payment."""
    return Transition(action="create", before=None, after=payment, at=now)


async def add_attempt(context: Context, payment: Payment, now: datetime) -> None:
    """
    Store the attempt of a new payment, its audit row and the job that follows it up.

    It runs in the transaction that stores the payment.
    """
    await attempts.add(attempt_of(payment))
    follow_up = Job(name="follow_up", subject=payment.id, after=FOLLOW_UP)
    await record_transitions(context, creation(payment, now), new_jobs=[follow_up])
