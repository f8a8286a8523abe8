"""
How the end of a call to a message channel becomes a Delivery.

domain/notifications.py has the order of the channels, resolvers/jobs.py what follows a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from domain.notifications import Delivery, Notification
from integrations.http.client import Upstream
from integrations.http.failures import NotConnected, Unanswered
from integrations.http.messages import Answer, Request
from integrations.http.parsing import Rejected

_log = structlog.stdlib.get_logger("integrations.messaging.delivery")

_SENT = frozenset({"sent", "delivered", "accepted", "queued", "ok", "success"})
_REFUSED = frozenset({"rejected", "refused", "failed", "invalid", "not_found", "unregistered"})
# An earlier try may still hold the key, or the channel limits our rate.
_NOT_DEFINITE = frozenset({408, 409, 425, 429})


async def deliver(
    http: Upstream,
    path: str,
    notification: Notification,
    body: Mapping[str, object],
    read: Callable[[Answer], Delivery],
) -> Delivery:
    """Send *body*. The notification's id is the idempotency key, so UNKNOWN may be sent again."""
    request = Request(
        operation="send",
        method="POST",
        path=path,
        body=body,
        headers={"Idempotency-Key": notification.id},
        subject=notification.phone,
        repeatable=True,
    )
    try:
        return await http.call(request, read)
    except (NotConnected, Unanswered):
        return Delivery.UNKNOWN
    except Rejected as error:
        _log.warning(
            "message_refused",
            system=http.name,
            notification=notification.id,
            status=error.status,
            code=error.code,
        )
        return Delivery.UNKNOWN if error.status in _NOT_DEFINITE else Delivery.REFUSED


def delivery_of_status(status: str) -> Delivery:
    """Return what a channel's status means; UNKNOWN for a status that we do not know."""
    known = status.lower()
    if known in _SENT:
        return Delivery.SENT
    return Delivery.REFUSED if known in _REFUSED else Delivery.UNKNOWN
