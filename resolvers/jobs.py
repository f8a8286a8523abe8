"""
What happens after a commit, by the worker: each job at least once, so each does nothing twice.

A handler returns when it is done, or says when to come again; what it raises is tried again with
backoff, and held for people after the last try.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from db import audit, jobs, notifications, payments
from db.audit import AuditEvent, AuditOutcome
from db.jobs import Job
from db.transaction import transaction
from domain.attempts import AttemptStatus
from domain.evidence import Finding
from domain.notifications import (
    Channel,
    Delivery,
    Notification,
    NotificationStatus,
    Template,
    channels,
    message,
)
from domain.payments import Payment, PaymentStatus, PostingStatus
from integrations.wire import Rejected
from resolvers import inquiries
from resolvers.announcements import announce
from resolvers.context import Context

Handler = Callable[[Context, str], Awaitable[timedelta | None]]

SOON = timedelta(seconds=1)
ASK_AGAIN = timedelta(minutes=1)
# About these `follow_up` goes on asking by itself: two askers would wear out the gateway's patience.
LEFT_TO_THE_TABLE = frozenset({AttemptStatus.SENT, AttemptStatus.UNKNOWN})


async def follow_up(context: Context, payment_id: str) -> timedelta | None:
    """Settle what no webhook settled; comes again by the table of domain/inquiries.py."""
    due = await inquiries.follow_up(context, payment_id)
    return None if due is None else max(SOON, due - await context.clock())


async def inquire(context: Context, payment_id: str) -> timedelta | None:
    """Ask once, now: something was said that only the gateway itself can confirm."""
    payment = await _payment(payment_id)
    if payment.attempt is not None and payment.status is not PaymentStatus.SUCCESS:
        evidence = await inquiries.ask(context, payment)
        # Inside the quota, or not understood: what was said still waits for its confirmation.
        if evidence is None or evidence.finding is Finding.UNKNOWN:
            if not payment.is_final and payment.attempt.status in LEFT_TO_THE_TABLE:
                return None
            quota = timedelta(seconds=context.gateways[payment.attempt.gateway].ask_again_after)
            # Not asked because it was asked just before: as soon as we may. Silence: with patience.
            return max(SOON, quota) if evidence is None else max(ASK_AGAIN, quota)
    return None


async def record_payment(context: Context, payment_id: str) -> timedelta | None:
    """Clear the bill in Revenue Management, under our transaction id."""
    payment = await _payment(payment_id)
    if payment.posting_status is PostingStatus.DONE:
        return None
    assert payment.completed_at is not None, "only a success is recorded"
    try:
        await context.revenue.record(
            transaction_id=payment.id,
            contract_number=payment.contract_number,
            method=payment.method,
            paid_at=payment.completed_at,
            items=payment.items,
            staff_id=payment.staff_id,
        )
    except Rejected:
        await _posted(context, payment, PostingStatus.FAILED)
        raise
    await _posted(context, payment, PostingStatus.DONE)
    return None


async def settle_debt(context: Context, payment_id: str) -> timedelta | None:
    """Tell the debt system; the job is made by the transaction that notes Revenue's record."""
    payment = await _payment(payment_id)
    assert payment.posting_status is PostingStatus.DONE, "enqueued with Revenue's record"
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


HANDLERS: dict[str, Handler] = {
    "follow_up": follow_up,
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
