"""Webhook events, stored with the raw call before they are handled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from db.engine import Row, execute, fetch, fetchrow, fetchval
from db.errors import RowMissing
from db.keyset import Keyset, in_order
from domain.gateways import Call, WebhookOutcome
from domain.methods import GatewayName
from domain.pages import PageRange
from domain.webhooks import WebhookEvent


async def store(event: WebhookEvent) -> WebhookEvent:
    """
    Store an event once for each `event_id` of its gateway; a repeat returns the stored one.

    An `event_id` of None is a call that was not verified; each of those is stored.
    """
    call = event.call
    row = await fetchrow(
        """
        insert into webhook_event (id, gateway, event_id, reference, outcome, method, query,
                                   headers, body, received_at, path, masked, deliveries, tries)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 1, 0)
            on conflict (gateway, event_id) do update set deliveries = webhook_event.deliveries + 1
        returning *
        """,
        event.id,
        event.gateway,
        event.event_id,
        event.reference,
        event.outcome,
        call.method,
        call.query,
        orjson.dumps(dict(call.headers)).decode(),
        call.body,
        event.received_at,
        call.path,
        event.masked,
    )
    assert row is not None
    return _event(row)


async def conclude(event_id: str, outcome: WebhookOutcome, now: datetime) -> bool:
    """
    Write the outcome of an event; False where another delivery of it has finished it.

    HANDLED prevails: of two simultaneous deliveries, the one that changed nothing may end first.
    """
    concluded = await fetchval(
        """
        update webhook_event set outcome = $2, handled_at = $3, tries = tries + 1
         where id = $1 and (outcome in ('RECEIVED', 'UNMATCHED')
                            or outcome = 'DEAD' and $2 <> 'UNMATCHED'
                            or outcome in ('DUPLICATE', 'STALE') and $2 = 'HANDLED')
        returning true
        """,
        event_id,
        outcome,
        now,
    )
    return concluded is not None


async def count_try(event_id: str) -> None:
    """Count a failed try; events with fewer tries are handled first."""
    await execute("update webhook_event set tries = tries + 1 where id = $1", event_id)


async def mark_dead(event_id: str, now: datetime) -> bool:
    """Mark an unfinished event as DEAD; False where another process has finished it."""
    row = await fetchrow(
        """
        update webhook_event set outcome = 'DEAD', handled_at = $2
         where id = $1 and outcome in ('RECEIVED', 'UNMATCHED')
        returning 1
        """,
        event_id,
        now,
    )
    return row is not None


async def by_id(event_id: str) -> WebhookEvent | None:
    row = await fetchrow("select * from webhook_event where id = $1", event_id)
    return None if row is None else _event(row)


async def get(event_id: str) -> WebhookEvent:
    """Return the event. Raises RowMissing."""
    if (event := await by_id(event_id)) is None:
        raise RowMissing("webhook_event", event_id)
    return event


async def unfinished(before: datetime, *, most: int) -> list[WebhookEvent]:
    """Return unfinished verified events that were received before *before*, least tried first."""
    rows = await fetch(
        """
        select * from webhook_event
         where outcome in ('RECEIVED', 'UNMATCHED') and received_at < $1
         order by tries, received_at limit $2
        """,
        before,
        most,
    )
    return [_event(row) for row in rows]


_KEYSET = Keyset(("received_at", 'id collate "C"'))


async def page(
    outcome: WebhookOutcome, gateway: GatewayName | None, page: PageRange
) -> list[WebhookEvent]:
    """Return a page of the events with *outcome*, newest first."""
    args: list[object] = [outcome, gateway]
    where = [
        "outcome = $1",
        "($2::text is null or gateway = $2)",
        *_KEYSET.conditions(page, args),
    ]
    rows = await fetch(
        f"select * from webhook_event where {' and '.join(where)} {_KEYSET.order(page, args)}",
        *args,
    )
    return [_event(row) for row in in_order(rows, page)]


def key(event: WebhookEvent) -> tuple[datetime, str]:
    """Return the key that pages are sorted by; it is unique."""
    return event.received_at, event.id


async def of_payments(payment_ids: Sequence[str]) -> dict[str, list[WebhookEvent]]:
    """Return the events of each payment's references, in the order of arrival."""
    rows = await fetch(
        """
        select w.*, a.payment from webhook_event w
          join attempt a on a.reference = w.reference and a.gateway = w.gateway
         where a.payment = any($1) order by w.received_at, w.id
        """,
        payment_ids,
    )
    events: dict[str, list[WebhookEvent]] = {}
    for row in rows:
        events.setdefault(row["payment"], []).append(_event(row))
    return events


def _event(row: Row) -> WebhookEvent:
    return WebhookEvent(
        id=row["id"],
        gateway=GatewayName(row["gateway"]),
        event_id=row["event_id"],
        reference=row["reference"],
        outcome=WebhookOutcome(row["outcome"]),
        received_at=row["received_at"],
        deliveries=row["deliveries"],
        tries=row["tries"],
        call=Call(
            method=row["method"],
            query=row["query"],
            headers=orjson.loads(row["headers"]),
            body=row["body"],
            received_at=row["received_at"],
            path=row["path"],
        ),
        masked=row["masked"],
    )
