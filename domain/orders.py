"""A merchant's generic order. Bills and fees of a contract are paid without one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class OrderStatus(StrEnum):
    OPEN = "OPEN"
    PAID = "PAID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """`reference` is the merchant's own; `amount` is in the minor unit of its currency."""

    id: str
    reference: str
    status: OrderStatus
