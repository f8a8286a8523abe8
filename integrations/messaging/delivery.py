"""What channels that carry messages have in common: how an answer, or none, becomes a Delivery."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from domain.notifications import Delivery, Notification
from integrations.http.client import Answer, NotSent, Unanswered, Upstream
from integrations.http.parsing import Rejected

_log = structlog.stdlib.get_logger("integrations.messaging.delivery")

_TAKEN = frozenset({"sent", "delivered", "accepted", "queued", "ok", "success"})
_REFUSED = frozenset({"rejected", "refused", "failed", "invalid", "not_found", "unregistered"})
# The key may be in use by an earlier try that is still running, or the channel asks for patience.
_NOT_DEFINITE = frozenset({408, 409, 425, 429})


async def deliver(
    http: Upstream,
    path: str,
    notification: Notification,
    body: Mapping[str, object],
    read: Callable[[Answer], Delivery],
) -> Delivery:
    """Send *body* under the notification's id, so that UNKNOWN may be sent again by the same channel."""
    try:
        return await http.call(
            "send",
            "POST",
            path,
            body=body,
            headers={"Idempotency-Key": notification.id},
            read=read,
            repeatable=True,
            subject=notification.phone,
        )
    except (NotSent, Unanswered):
        return Delivery.UNKNOWN
    except Rejected as no:
        _log.warning(
            "message_refused",
            system=http.name,
            notification=notification.id,
            status=no.status,
            code=no.code,
        )
        return Delivery.UNKNOWN if no.status in _NOT_DEFINITE else Delivery.REFUSED


def word(status: str) -> Delivery:
    """Return what a channel's own word means; a word that we don't know is no answer."""
    known = status.lower()
    if known in _TAKEN:
        return Delivery.SENT
    return Delivery.REFUSED if known in _REFUSED else Delivery.UNKNOWN
