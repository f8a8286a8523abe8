"""The history of payments: each kind of row is read once for a whole page of payments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from db import attempts as stored_attempts
from db import audit, ledger, webhooks
from db import notifications as stored_notifications
from domain.attempts import Attempt
from domain.ledger import Entry
from domain.notifications import Notification
from domain.payment_history import Step
from domain.staff import Operation, may
from domain.webhooks import WebhookEvent
from resolvers.context import Context

T = TypeVar("T")

# Each takes the ids of payments that the actor may see, and returns one value for each, in order.


async def attempts(_: Context, payment_ids: list[str]) -> list[tuple[Attempt, ...]]:
    return _in_order(payment_ids, await stored_attempts.of_payments(payment_ids))


async def entries(_: Context, payment_ids: list[str]) -> list[tuple[Entry, ...]]:
    return _in_order(payment_ids, await ledger.of_payments(payment_ids))


async def notifications(_: Context, payment_ids: list[str]) -> list[tuple[Notification, ...]]:
    return _in_order(payment_ids, await stored_notifications.of_payments(payment_ids))


async def timeline(context: Context, payment_ids: list[str]) -> list[tuple[Step, ...]]:
    """Return the steps of each payment; none for an actor who may not read timelines."""
    allowed = may(context.actor, Operation.READ_TIMELINE)
    return _in_order(payment_ids, await audit.of_payments(payment_ids) if allowed else {})


async def webhook_events(
    context: Context, payment_ids: list[str]
) -> list[tuple[WebhookEvent, ...]]:
    """Return the webhook events of each payment; none for an actor who may not read timelines."""
    allowed = may(context.actor, Operation.READ_TIMELINE)
    return _in_order(payment_ids, await webhooks.of_payments(payment_ids) if allowed else {})


def _in_order(payment_ids: Sequence[str], found: Mapping[str, Sequence[T]]) -> list[tuple[T, ...]]:
    return [tuple(found.get(payment_id, ())) for payment_id in payment_ids]
