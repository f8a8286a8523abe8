"""What happened to payments, told from what was written: each kind of row read once for a whole page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from db import attempts as kept_attempts
from db import audit, ledger, webhooks
from db import notifications as kept_notifications
from domain.attempts import Attempt
from domain.ledger import Entry
from domain.notifications import Notification
from domain.payment_history import Step
from domain.staff import Operation, may
from domain.webhooks import WebhookEvent
from resolvers.context import Context

T = TypeVar("T")

# Each takes the ids of payments that the asker was shown, and answers in their order.


async def attempts(_: Context, payment_ids: list[str]) -> list[tuple[Attempt, ...]]:
    return _in_order(payment_ids, await kept_attempts.of_payments(payment_ids))


async def entries(_: Context, payment_ids: list[str]) -> list[tuple[Entry, ...]]:
    return _in_order(payment_ids, await ledger.of_payments(payment_ids))


async def notifications(_: Context, payment_ids: list[str]) -> list[tuple[Notification, ...]]:
    return _in_order(payment_ids, await kept_notifications.of_payments(payment_ids))


async def timeline(context: Context, payment_ids: list[str]) -> list[tuple[Step, ...]]:
    """Nothing for whoever may not read it: a collector's own payment is no less theirs for that."""
    allowed = may(context.actor, Operation.READ_TIMELINE)
    return _in_order(payment_ids, await audit.of_payments(payment_ids) if allowed else {})


async def webhook_events(
    context: Context, payment_ids: list[str]
) -> list[tuple[WebhookEvent, ...]]:
    """What gateways said about the payments' references; nothing for whoever may not read it."""
    allowed = may(context.actor, Operation.READ_TIMELINE)
    return _in_order(payment_ids, await webhooks.of_payments(payment_ids) if allowed else {})


def _in_order(payment_ids: Sequence[str], found: Mapping[str, Sequence[T]]) -> list[tuple[T, ...]]:
    return [tuple(found.get(payment_id, ())) for payment_id in payment_ids]
