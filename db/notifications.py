"""Messages to customers: one for each payment, phone and template, over whatever channels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.engine import Row, execute, fetch, fetchrow
from domain.notifications import Channel, Notification, NotificationStatus, Template


async def add(notification: Notification, now: datetime) -> bool:
    """Add a message to be sent; False where the phone has one for the payment and template."""
    row = await fetchrow(
        """
        insert into notification (id, payment, phone, template, channel, status, attempts,
                                  created_at)
        values ($1, $2, $3, $4, $5, $6, 0, $7)
            on conflict do nothing
        returning 1
        """,
        notification.id,
        notification.payment_id,
        notification.phone,
        notification.template,
        notification.channel,
        notification.status,
        now,
    )
    return row is not None


async def add_first_tries(messages: Sequence[Notification], now: datetime) -> set[str]:
    """
    Add messages with the try that follows; return the payments of those added.

    It leaves out what `add` does, and payments that another transaction has locked: waiting with
    locks held could deadlock.
    """
    rows = await fetch(
        """
        with free as materialized (
            select id from payment where id = any($2) order by id for key share skip locked)
        insert into notification (id, payment, phone, template, channel, status, attempts,
                                  created_at)
        select new.id, new.payment, new.phone, new.template, new.channel, 'PENDING', 1, $6
          from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
               as new (id, payment, phone, template, channel)
          join free on free.id = new.payment
         order by new.payment
            on conflict do nothing
        returning payment
        """,
        [message.id for message in messages],
        [message.payment_id for message in messages],
        [message.phone for message in messages],
        [message.template for message in messages],
        [message.channel for message in messages],
        now,
    )
    return {row["payment"] for row in rows}


async def of_phone(payment_id: str, phone: str, template: Template) -> Notification | None:
    row = await fetchrow(
        "select * from notification where payment = $1 and phone = $2 and template = $3",
        payment_id,
        phone,
        template,
    )
    return None if row is None else _notification(row)


async def of_payments(payment_ids: Sequence[str]) -> dict[str, list[Notification]]:
    """Return the messages about each payment, oldest first."""
    rows = await fetch(
        "select * from notification where payment = any($1) order by created_at, id", payment_ids
    )
    notifications: dict[str, list[Notification]] = {}
    for row in rows:
        notifications.setdefault(row["payment"], []).append(_notification(row))
    return notifications


async def save(notification: Notification) -> None:
    await execute(
        "update notification set channel = $2, status = $3, attempts = $4, sent_at = $5"
        " where id = $1",
        notification.id,
        notification.channel,
        notification.status,
        notification.attempts,
        notification.sent_at,
    )


async def save_sent(ids: Sequence[str], now: datetime) -> None:
    """Store that the channels took these messages."""
    await execute(
        "update notification set status = 'SENT', sent_at = $2 where id = any($1)", ids, now
    )


def _notification(row: Row) -> Notification:
    return Notification(
        id=row["id"],
        payment_id=row["payment"],
        phone=row["phone"],
        template=Template(row["template"]),
        channel=Channel(row["channel"]),
        status=NotificationStatus(row["status"]),
        attempts=row["attempts"],
        sent_at=row["sent_at"],
    )
