"""Telling the customer: one message per payment, phone and template, by the first channel that takes it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.payments import Notify, Payment


class Channel(StrEnum):
    HIFPT = "HIFPT"
    ZALO = "ZALO"
    SMS = "SMS"
    EMAIL = "EMAIL"


class NotificationStatus(StrEnum):
    PENDING = "PENDING"
    SENT = "SENT"
    FAILED = "FAILED"


class Template(StrEnum):
    PAYMENT_CONFIRMATION = "payment_confirmation"


class Delivery(StrEnum):
    """What a channel made of a message. Only REFUSED, a definite no, lets the next channel try."""

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
        """The phone as it may be shown: 098****321."""
        return f"{self.phone[:3]}{'*' * (len(self.phone) - 6)}{self.phone[-3:]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a message says; every channel puts it in its own form."""

    customer_name: str
    amount: int
    contract_number: str
    transaction_id: str
    confirmation_link: str


def channels(notify: Notify) -> tuple[Channel, ...]:
    """Return the channels to try, in order."""
    wanted = ((Channel.HIFPT, notify.hifpt), (Channel.SMS, notify.sms))
    return tuple(channel for channel, wants in wanted if wants)


def message(payment: Payment, confirmation_link: str) -> Message:
    assert payment.contract_number is not None, "a merchant tells its own customers"
    return Message(
        customer_name=payment.customer_name,
        amount=payment.amount,
        contract_number=payment.contract_number,
        transaction_id=payment.id,
        confirmation_link=confirmation_link,
    )
