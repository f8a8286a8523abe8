"""
The worker's jobs: each runs at least once after its commit, so each is idempotent.

A handler returns None when it is done, or how long to wait before it runs again. When it raises,
resolvers/job_runner.py retries it with backoff for 8 days; then it is a dead letter, for people.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

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
from domain.payment_inquiry import CONFIRM_FOR
from domain.payments import Payment, PaymentStatus, PostingStatus
from integrations.http.parsing import Rejected
from resolvers import payment_inquiry, refund_execution
from resolvers.cases import NewCase, open_case
from resolvers.context import Context
from resolvers.payment_announcement import announce, announce_contract
from resolvers.refund_reporting import report_reversal, unsettle_debt, wait_after

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Handler = Callable[[Context, str], Awaitable[timedelta | None]]

SHORTEST_WAIT = timedelta(seconds=1)


# ── inquiries ────────────────────────────────────────────────────────────────────────────────────


async def follow_up(context: Context, payment_id: str) -> timedelta | None:
    """Inquire about a payment by the schedule in domain/payment_inquiry.py."""
    return await _wait_until(context, await payment_inquiry.follow_up(context, payment_id))


async def refund(context: Context, reversal_id: str) -> timedelta | None:
    """Send a refund, or inquire about it, by domain/refund_schedule.py."""
    return await _wait_until(context, await refund_execution.follow_up(context, reversal_id))


async def _wait_until(context: Context, due: datetime | None) -> timedelta | None:
    return None if due is None else max(SHORTEST_WAIT, due - await context.clock())


async def inquire(context: Context, payment_id: str) -> timedelta | None:
    """
    Inquire now, because of evidence that only the gateway's own answer can confirm.

    A claim that an ended payment was paid is inquired about for a day; then it is a case. A gateway
    that learns of its payment late does not lose it.
    """
    payment = await payments.get(payment_id)
    attempt = payment.attempt
    if attempt is None or payment.status is PaymentStatus.SUCCESS:
        return None
    quota = timedelta(seconds=context.gateways[attempt.gateway].inquiry_interval)
    evidence = await payment_inquiry.inquire(context, payment)
    payment = await payments.get(payment_id)
    claimed_at = payment.attempt.claimed_at if payment.attempt else None
    if payment.is_final and claimed_at is not None:
        return await _confirm_claim(context, payment, claimed_at, quota)
    # Inside the quota the evidence waits for it; a missing answer is left to `follow_up`.
    return quota if evidence is None and payment.status is not PaymentStatus.SUCCESS else None


async def _confirm_claim(
    context: Context, payment: Payment, claimed_at: datetime, quota: timedelta
) -> timedelta | None:
    """Return when to inquire again about a claim of late money; open a case after CONFIRM_FOR."""
    attempt = payment.attempt
    if attempt is None or attempt.status is AttemptStatus.PAID:
        return None
    now = await context.clock()
    if now - claimed_at < CONFIRM_FOR:
        return max(quota, (now - claimed_at) / 2)
    async with transaction():
        await payments.lock(payment.id)
        if await attempts.drop_claim(attempt.reference):
            new_case = NewCase(kind=CaseKind.LATE_MONEY, payment=payment, about=attempt.reference)
            await open_case(context, new_case, now)
    return None


# ── the internal systems ─────────────────────────────────────────────────────────────────────────


async def record_payment(context: Context, payment_id: str) -> timedelta | None:
    """
    Record the payment in Revenue Management, which clears its bills, under our transaction id.

    A definite refusal goes to people; only their decision sends the record again, so that money
    which they credited or refunded is never recorded after all.
    """
    payment = await payments.get(payment_id)
    if payment.posting_status is not PostingStatus.PENDING:
        return None
    assert payment.completed_at is not None, "only a success is recorded"
    if await reversals.awaits_earlier_reversal(payment.id):
        # Revenue holds one of its bills as paid by another payment, whose reversal comes first.
        return wait_after(payment.completed_at, await context.clock())
    await save_posting(context, payment, await send_record(context, payment))
    return None


async def send_record(context: Context, payment: Payment) -> PostingStatus:
    """Send the record to Revenue; return DONE, or FAILED for a definite refusal."""
    assert payment.completed_at is not None, "only a success is recorded"
    assert payment.contract_number is not None, "Revenue knows no orders"
    try:
        await context.revenue.record(
            transaction_id=payment.id,
            contract_number=payment.contract_number,
            method=payment.method,
            paid_at=payment.completed_at,
            items=payment.items,
            staff_id=payment.staff_id,
        )
    except Rejected as error:
        log.warning("record_refused", payment=payment.id, why=str(error))
        return PostingStatus.FAILED
    return PostingStatus.DONE


async def save_posting(context: Context, payment: Payment, status: PostingStatus) -> None:
    """Store Revenue's answer once; enqueue the debt's job, or open a case where it refuses."""
    now = await context.clock()
    is_done = status is PostingStatus.DONE
    async with transaction():
        if not await payments.set_posting_status(payment.id, status, now):
            return
        if is_done:
            await jobs.enqueue([Job(name="settle_debt", subject=payment.id)])
        else:  # we have money that Revenue does not count as owed
            new_case = NewCase(kind=CaseKind.RECORD_REFUSED, payment=payment, amount=payment.amount)
            await open_case(context, new_case, now)
        await audit.append(recorded(context, payment, now, is_done=is_done))
    await announce(context, await payments.get(payment.id))


def recorded(context: Context, payment: Payment, now: datetime, *, is_done: bool) -> AuditEvent:
    """Return the audit event of Revenue's answer."""
    return AuditEvent(
        at=now,
        actor=context.actor_id,
        action="record",
        outcome=AuditOutcome.DONE if is_done else AuditOutcome.FAILED,
        payment_id=payment.id,
        source="revenue",
    )


async def settle_debt(context: Context, payment_id: str) -> timedelta | None:
    """Report the payment to Debt Management, once Revenue has recorded it."""
    await send_debt(context, await payments.get(payment_id))
    return None


async def send_debt(context: Context, payment: Payment) -> None:
    """Report one payment to Debt Management."""
    assert payment.posting_status is PostingStatus.DONE, "enqueued with Revenue's record"
    assert payment.contract_number is not None, "Debt knows no orders"
    await context.debts.settle(
        transaction_id=payment.id,
        contract_number=payment.contract_number,
        amount=payment.amount,
    )
    await announce_contract(context, payment.contract_number)


# ── the customer ─────────────────────────────────────────────────────────────────────────────────


class NotDelivered(Exception):
    """The channel did not answer whether it took the message; the same channel is tried again."""


async def notify_customer(context: Context, payment_id: str) -> timedelta | None:
    """
    Send the customer one message, through the first channel that takes it.

    The next channel is tried only after a definite refusal. A timeout repeats the same channel
    with the same key. Raises NotDelivered.
    """
    payment = await payments.get(payment_id)
    possible = channels(payment.notify)
    if payment.notify.phone is None or not possible:
        return None
    notification = await _notification(context, payment, payment.notify.phone, possible[0])
    if notification.status is not NotificationStatus.PENDING:
        return None
    first = possible.index(notification.channel)
    await send_by_channels(context, payment, notification, possible[first:])
    return None


async def send_by_channels(
    context: Context, payment: Payment, notification: Notification, possible: Sequence[Channel]
) -> None:
    """Try the channels in their order, until one takes the message. Raises NotDelivered."""
    for channel in possible:
        notification = replace(notification, channel=channel, attempts=notification.attempts + 1)
        await notifications.save(notification)
        match await send_message(context, payment, notification):
            case Delivery.SENT:
                sent_at = await context.clock()
                sent = replace(notification, status=NotificationStatus.SENT, sent_at=sent_at)
                await notifications.save(sent)
                return
            case Delivery.UNKNOWN:
                raise NotDelivered(channel)
            case Delivery.REFUSED:
                pass
    await notifications.save(replace(notification, status=NotificationStatus.FAILED))


async def send_message(context: Context, payment: Payment, notification: Notification) -> Delivery:
    """Send the message through its channel, once."""
    text = message(payment, context.confirmation_link(payment.receipt_token))
    channel = context.hifpt if notification.channel is Channel.HIFPT else context.sms
    return await channel.send(notification, text)


async def _notification(
    context: Context, payment: Payment, phone: str, channel: Channel
) -> Notification:
    """Return the one message of this payment to this phone, created at the first try."""
    now = await context.clock()
    new = new_notification(context, payment, phone, channel)
    if await notifications.add(new, now):
        return new
    stored = await notifications.of_phone(payment.id, phone, new.template)
    assert stored is not None, "a notification that was not added is there already"
    return stored


def new_notification(
    context: Context, payment: Payment, phone: str, channel: Channel
) -> Notification:
    return Notification(
        id=context.ids.record("MSG"),
        payment_id=payment.id,
        phone=phone,
        template=Template.PAYMENT_CONFIRMATION,
        channel=channel,
        status=NotificationStatus.PENDING,
    )


HANDLERS: dict[str, Handler] = {
    "follow_up": follow_up,
    "refund": refund,
    "report_reversal": report_reversal,
    "unsettle_debt": unsettle_debt,
    "inquire": inquire,
    "record_payment": record_payment,
    "settle_debt": settle_debt,
    "notify_customer": notify_customer,
}
