"""
An attempt: one try at taking a payment's money through one gateway, under our reference.

    CREATED ──▶ SENT ──▶ ACCEPTED ──▶ PAID
                  │          ├──────▶ DECLINED
                  │          ├──────▶ EXPIRED
                  └▶ UNKNOWN ┴──────▶ CANCELLED

A failure belongs to an attempt. No answer and an unexpected answer are UNKNOWN, never DECLINED.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.methods import GatewayName
from domain.money import Money


class AttemptStatus(StrEnum):
    CREATED = "CREATED"
    SENT = "SENT"
    ACCEPTED = "ACCEPTED"
    DECLINED = "DECLINED"
    UNKNOWN = "UNKNOWN"
    PAID = "PAID"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a gateway declined: its own code, and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One attempt, as it is now.

    `reference` is our id for the gateway. It is committed before the gateway is called, and every
    inquiry uses it; `gateway_id` is the gateway's own id. `money` is the requested sum in the
    currency that was sent. `sent_at` is also the date that the request carries. `paid_under` holds
    the gateway's number of each known payment of the reference; a second one means paid twice.
    `claimed_at` is when a client first claimed that it was paid, which is no proof.
    """

    reference: str
    payment_id: str
    gateway: GatewayName
    status: AttemptStatus
    money: Money
    created_at: datetime
    expires_at: datetime
    sent_at: datetime | None = None
    answered_at: datetime | None = None
    gateway_id: str | None = None
    payment_url: str | None = None
    qr_payload: str | None = None
    failure: Failure | None = None
    inquiries: int = 0
    inquired_at: datetime | None = None
    paid_under: tuple[str, ...] = ()
    claimed_at: datetime | None = None
