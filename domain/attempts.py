"""
An attempt: one conversation with one gateway about a payment.

    CREATED ──▶ SENT ──▶ ACCEPTED ──▶ PAID
                  │          ├──────▶ DECLINED
                  │          ├──────▶ EXPIRED
                  └▶ UNKNOWN ┴──────▶ CANCELLED

Failures belong to attempts. Silence and surprise are UNKNOWN, never DECLINED.
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
    """Why a gateway said no: its own code, and a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    `reference` is the id that we gave the gateway, committed before it is called, and so what
    every later question is asked by; `gateway_id` is the id that it gave us. `money` is what we
    asked for, in the currency that was sent. `sent_at` is also the request's date to the gateway.
    `paid_under` is the gateway's number of each payment of the reference that we know of: more than one
    is paid twice. Since `claimed_at` somebody says that it was paid, which is not proven yet.
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
