"""
What happens after a commit, by the worker: each job at least once, so each does nothing twice.

A handler returns when it is done, or says when to come again; what it raises is tried again with
backoff, and held for people after the last try.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import structlog

from db import attempts, audit, jobs, notifications, payments, reversals
from db.audit import AuditEvent, AuditOutcome
from db.jobs import Job
from db.transaction import transaction
from domain.attempts import AttemptStatus
from domain.cases import CaseKind
from domain.notifications import (
    Channel,
    Delivery,
    Notification,
    NotificationStatus,
    Template,
    channels,
    message,
)
from domain.payment_inquiry import CONFIRMING
from domain.payments import Payment, PaymentStatus, PostingStatus
from integrations.http.parsing import Rejected
from resolvers import payment_inquiry, refund_execution
from resolvers.cases import open_case
from resolvers.context import Context
from resolvers.payment_announcement import announce
from resolvers.refund_reporting import look_again, tell_reversal, unsettle_debt

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Handler = Callable[[Context, str], Awaitable[timedelta | None]]

SOON = timedelta(seconds=1)
ASK_AGAIN = timedelta(minutes=1)
# About these `follow_up` goes on asking by itself: two askers would wear out the gateway's patience.
LEFT_TO_THE_TABLE = frozenset({AttemptStatus.SENT, AttemptStatus.UNKNOWN})


async def follow_up(context: Context, payment_id: str) -> timedelta | None:
    """Settle what no webhook settled; comes again by the table of domain/payment_inquiry.py."""
    due = await payment_inquiry.follow_up(context, payment_id)
    return None if due is None else max(SOON, due - await context.clock())


async def inquire(context: Context, payment_id: str) -> timedelta | None:
    """
    Ask now: something was said that only the gateway itself can confirm.

    A claim that an ended payment was paid after all is put to the gateway until it says so too, for
    a day: then it is a case. A gateway that is slow to know its own payment does not lose it.
    """
    payment = await _payment(payment_id)
    attempt = payment.attempt
    if attempt is None or payment.status is PaymentStatus.SUCCESS:
        return None
    gateway = context.gateways[attempt.gateway]
    quota = timedelta(seconds=gateway.ask_again_after)
    evidence = await payment_inquiry.ask(context, payment)
    payment = await _payment(payment_id)
    now = await context.clock()
    claimed = payment.attempt.claimed_at if payment.attempt else None
    if payment.is_final and claimed is not None:
        if payment.attempt is None or payment.attempt.status is AttemptStatus.PAID:
            return None
        if now - claimed < CONFIRMING:
            return max(quota, (now - claimed) / 2)
        await _unconfirmed(context, payment, attempt.reference)
        return None
    # Inside the quota what was said waits for it; silence is left to the table of inquiries.
    return quota if evidence is None and payment.status is not PaymentStatus.SUCCESS else None


async def _unconfirmed(context: Context, payment: Payment, reference: str) -> None:
    """Give to people a claim of money that its gateway never confirmed."""
    now = await context.clock()
    async with transaction():
        await payments.lock(payment.id)
        if await attempts.drop_claim(reference):
            await open_case(context, CaseKind.LATE_MONEY, now, payment=payment, about=reference)


async def record_payment(context: Context, payment_id: str) -> timedelta | None:
    """
    Clear the bill in Revenue Management, under our transaction id.

    A definite no is people's: only their decision asks again, so that what they credited or gave back
    is never recorded after all.
    """
    payment = await _payment(payment_id)
    if payment.posting_status is not PostingStatus.PENDING:
        return None
    assert payment.completed_at is not None, "only a success is recorded"
    assert payment.contract_number is not None, "Revenue knows no orders"
    if await reversals.untold_before(payment.id):
        # Revenue holds a bill of it as paid by another, and is about to hear of its reversal.
        return look_again(payment.completed_at, await context.clock())
    try:
        await context.revenue.record(
            transaction_id=payment.id,
            contract_number=payment.contract_number,
            method=payment.method,
            paid_at=payment.completed_at,
            items=payment.items,
            staff_id=payment.staff_id,
        )
    except Rejected as no:
        log.warning("not recorded", payment=payment.id, why=str(no))
        await _posted(context, payment, PostingStatus.FAILED)
    else:
        await _posted(context, payment, PostingStatus.DONE)
    return None


async def settle_debt(context: Context, payment_id: str) -> timedelta | None:
    """Tell the debt system; the job is made by the transaction that notes Revenue's record."""
    payment = await _payment(payment_id)
    assert payment.posting_status is PostingStatus.DONE, "enqueued with Revenue's record"
    assert payment.contract_number is not None
    await context.debts.settle(
        transaction_id=payment.id,
        contract_number=payment.contract_number,
        amount=payment.amount,
    )
    return None


async def notify_customer(context: Context, payment_id: str) -> timedelta | None:
    """
    Tell the customer once, by the first channel that takes the message.

    The next channel is tried only after a definite no; a timeout repeats the same one, under the
    same key.
    """
    payment = await _payment(payment_id)
    roads = channels(payment.notify)
    if payment.notify.phone is None or not roads:
        return None
    notification = await _notification(context, payment, payment.notify.phone, roads[0])
    if notification.status is not NotificationStatus.PENDING:
        return None
    text = message(payment, context.confirmation_link(payment.receipt_token))
    for channel in roads[roads.index(notification.channel) :]:
        tried = replace(notification, channel=channel, attempts=notification.attempts + 1)
        await notifications.save(tried)
        send = context.hifpt.send if channel is Channel.HIFPT else context.sms.send
        match await send(tried, text):
            case Delivery.SENT:
                sent = replace(tried, status=NotificationStatus.SENT, sent_at=await context.clock())
                await notifications.save(sent)
                return None
            case Delivery.UNKNOWN:
                raise NotDelivered(channel)
            case Delivery.REFUSED:
                notification = tried
    await notifications.save(replace(notification, status=NotificationStatus.FAILED))
    return None


class NotDelivered(Exception):
    """The channel did not say whether it took the message: the same one is tried again."""


async def refund(context: Context, reversal_id: str) -> timedelta | None:
    """Send a refund, or ask what became of it; comes again by the table of domain/refund_schedule.py."""
    due = await refund_execution.follow_up(context, reversal_id)
    return None if due is None else max(SOON, due - await context.clock())


HANDLERS: dict[str, Handler] = {
    "follow_up": follow_up,
    "refund": refund,
    "tell_reversal": tell_reversal,
    "unsettle_debt": unsettle_debt,
    "inquire": inquire,
    "record_payment": record_payment,
    "settle_debt": settle_debt,
    "notify_customer": notify_customer,
}


async def _payment(payment_id: str) -> Payment:
    payment = await payments.by_id(payment_id)
    assert payment is not None, "a job is kept in the transaction of its payment"
    return payment


async def _posted(context: Context, payment: Payment, status: PostingStatus) -> None:
    now = await context.clock()
    done = status is PostingStatus.DONE
    async with transaction():
        if not await payments.posting_status(payment.id, status, now):
            return
        if done:
            await jobs.enqueue([Job(name="settle_debt", subject=payment.id)])
        else:  # the money is ours, and Revenue says that it is not owed: people decide
            kind, amount = CaseKind.RECORD_REFUSED, payment.amount
            await open_case(context, kind, now, payment=payment, amount=amount)
        await audit.record(
            AuditEvent(
                at=now,
                actor=context.actor_id,
                action="record",
                outcome=AuditOutcome.DONE if done else AuditOutcome.FAILED,
                payment_id=payment.id,
                source="revenue",
            )
        )
    await announce(context, await _payment(payment.id))


async def _notification(
    context: Context, payment: Payment, phone: str, channel: Channel
) -> Notification:
    """Return the one message of this payment to this phone, made at the first try."""
    now = await context.clock()
    new = Notification(
        id=context.ids.record("MSG"),
        payment_id=payment.id,
        phone=phone,
        template=Template.PAYMENT_CONFIRMATION,
        channel=channel,
        status=NotificationStatus.PENDING,
    )
    if await notifications.add(new, now):
        return new
    kept = await notifications.of_phone(payment.id, phone, new.template)
    assert kept is not None
    return kept
