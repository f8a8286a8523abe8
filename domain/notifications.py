"""One message per payment, phone and template, by the first channel that takes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.payments import Notify, Payment


class Channel(StrEnum):
    HIFPT = "HIFPT"
    ZALO = "ZALO"  # not used yet
    SMS = "SMS"
    EMAIL = "EMAIL"  # not used yet


class NotificationStatus(StrEnum):
    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"


class Template(StrEnum):
    PAYMENT_CONFIRMATION = "payment_confirmation"


class Delivery(StrEnum):
    """A channel's result for a message. Only REFUSED, a definite no, lets the next channel try."""

    SENT = "SENT"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message to one phone. Its id is the channel's idempotency key."""

    id: str
    payment_id: str
    phone: str
    template: Template
    channel: Channel
    status: NotificationStatus
    attempts: int = 0
    sent_at: datetime | None = None

    @property
    def recipient(self) -> str:
        """The masked phone number: 098****321."""
        return f"{self.phone[:3]}{'*' * (len(self.phone) - 6)}{self.phone[-3:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The contents of a message; every channel formats them itself."""

    customer_name: str
    amount: int
    contract_number: str
    transaction_id: str
    confirmation_link: str


def channels(notify: Notify) -> tuple[Channel, ...]:
    """Return the channels to try, in order."""
    enabled = ((Channel.HIFPT, notify.hifpt), (Channel.SMS, notify.sms))
    return tuple(channel for channel, is_enabled in enabled if is_enabled)


def message(payment: Payment, confirmation_link: str) -> Message:
    """Return the message about a payment of bills; merchants notify their customers themselves."""
    assert payment.contract_number is not None, "an order's payment has no notification"
    return Message(
        customer_name=payment.customer_name,
        amount=payment.amount,
        contract_number=payment.contract_number,
        transaction_id=payment.id,
        confirmation_link=confirmation_link,
    )
