"""
The jobs of a success, many payments at once: read together, sent side by side, written together.

A batch holds one job of a payment. Only jobs whose receiver deduplicates by our key are batched: a
batch that dies half-way is repeated, job by job, by the handlers of resolvers/jobs.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import structlog

from db import audit, jobs, notifications, payments, reversals
from db.jobs import Job
from db.transaction import transaction
from domain.notifications import Channel, Delivery, Notification, channels
from domain.payments import Payment, PostingStatus
from resolvers.context import Context
from resolvers.jobs import (
    NotDelivered,
    new_notification,
    recorded,
    save_posting,
    send_by_channels,
    send_debt,
    send_message,
    send_record,
)
from resolvers.payment_announcement import announce
from resolvers.refund_reporting import wait_after

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Answer = TypeVar("Answer")
Ends = dict[str, timedelta | Exception | None]
"""
What each subject's job came to: done, how long to wait, or why it failed.

A subject that is left out runs again, alone.
"""
Batch = Callable[[Context, Sequence[str]], Awaitable[Ends]]


# ── Revenue and Debt ─────────────────────────────────────────────────────────────────────────────


async def record_payments(context: Context, payment_ids: Sequence[str]) -> Ends:
    """Do `jobs.record_payment` for each payment."""
    found = await payments.by_ids(payment_ids)
    waiting = await reversals.awaiting_earlier_reversal(payment_ids)
    now = await context.clock()
    ends: Ends = {}
    due: list[Payment] = []
    for payment in found:
        if payment.posting_status is not PostingStatus.PENDING:
            ends[payment.id] = None
        elif payment.completed_at is None:
            continue  # alone it fails, and says so
        elif payment.id in waiting:
            ends[payment.id] = wait_after(payment.completed_at, now)
        else:
            due.append(payment)
    answers = await _send_all(context, due, send_record)
    done = [
        payment
        for payment, answer in zip(due, answers, strict=True)
        if answer is PostingStatus.DONE
    ]
    saved = await _save_recorded(context, done)
    for payment, answer in zip(due, answers, strict=True):
        if isinstance(answer, Exception):
            ends[payment.id] = answer
        elif payment.id in saved:
            ends[payment.id] = None
        else:  # a refusal, or another transaction holds the payment
            ends[payment.id] = await _save_alone(context, payment, answer)
    return ends


async def _save_recorded(context: Context, done: Sequence[Payment]) -> set[str]:
    """
    Store in one transaction that Revenue has these payments; return those that it stored.

    Where it fails it stores none: one payment must not stand in the way of the others.
    """
    if not done:
        return set()
    now = await context.clock()
    try:
        async with transaction():
            versions = await payments.set_posting_statuses(
                [payment.id for payment in done], PostingStatus.DONE, now
            )
            changed = [payment for payment in done if payment.id in versions]
            if changed:
                await jobs.enqueue([Job(name="settle_debt", subject=item.id) for item in changed])
                await audit.append(
                    *(recorded(context, payment, now, is_done=True) for payment in changed)
                )
    except Exception:
        log.exception("batch_not_saved", payments=len(done))
        return set()
    await announce(context, *(replace(item, version=versions[item.id]) for item in changed))
    return set(versions)


async def _save_alone(
    context: Context, payment: Payment, status: PostingStatus
) -> Exception | None:
    try:
        await save_posting(context, payment, status)
    except Exception as error:
        return error
    return None


async def settle_debts(context: Context, payment_ids: Sequence[str]) -> Ends:
    """Do `jobs.settle_debt` for each payment."""
    found = await payments.by_ids(payment_ids)
    answers = await _send_all(context, found, send_debt)
    return {payment.id: answer for payment, answer in zip(found, answers, strict=True)}


# ── the customer ─────────────────────────────────────────────────────────────────────────────────


async def notify_customers(context: Context, payment_ids: Sequence[str]) -> Ends:
    """
    Do `jobs.notify_customer` for each payment: the first try of each message.

    A message that was tried before is left out, and so runs alone.
    """
    ends: Ends = {}
    new: dict[str, tuple[Payment, Notification]] = {}
    for payment in await payments.by_ids(payment_ids):
        possible = channels(payment.notify)
        if payment.notify.phone is None or not possible:
            ends[payment.id] = None
            continue
        message = new_notification(context, payment, payment.notify.phone, possible[0])
        new[payment.id] = (payment, replace(message, attempts=1))
    if not new:
        return ends
    now = await context.clock()
    added = await notifications.add_first_tries([message for _, message in new.values()], now)
    tried = [new[payment_id] for payment_id in added]

    async def send(context: Context, payment: Payment) -> Delivery:
        return await send_message(context, payment, new[payment.id][1])

    answers = await _send_all(context, [payment for payment, _ in tried], send)
    sent = [
        message.id
        for (_, message), answer in zip(tried, answers, strict=True)
        if answer is Delivery.SENT
    ]
    if sent:
        await notifications.save_sent(sent, await context.clock())
    for (payment, message), answer in zip(tried, answers, strict=True):
        match answer:
            case Exception():
                ends[payment.id] = answer
            case Delivery.SENT:
                ends[payment.id] = None
            case Delivery.UNKNOWN:
                ends[payment.id] = NotDelivered(message.channel)
            case Delivery.REFUSED:
                others = channels(payment.notify)[1:]
                ends[payment.id] = await _send_by_others(context, payment, message, others)
    return ends


async def _send_by_others(
    context: Context, payment: Payment, message: Notification, others: Sequence[Channel]
) -> Exception | None:
    """Try the other channels after the first has refused."""
    try:
        await send_by_channels(context, payment, message, others)
    except Exception as error:
        return error
    return None


async def _send_all(
    context: Context,
    subjects: Sequence[Payment],
    send: Callable[[Context, Payment], Awaitable[Answer]],
) -> list[Answer | Exception]:
    """Send side by side; an exception takes the place of the answer that it prevented."""

    async def attempt(payment: Payment) -> Answer | Exception:
        try:
            return await send(context, payment)
        except Exception as error:
            return error

    return await asyncio.gather(*(attempt(payment) for payment in subjects))


BATCHES: dict[str, Batch] = {
    "record_payment": record_payments,
    "settle_debt": settle_debts,
    "notify_customer": notify_customers,
}
