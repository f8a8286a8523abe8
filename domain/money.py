"""Money: an exact amount of a currency's minor unit. VND has none, so its amounts are whole đồng."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LARGEST = 2**53 - 1  # what a JSON number carries exactly


class Currency(StrEnum):
    VND = "VND"
    USD = "USD"


@dataclass(frozen=True, slots=True, order=False)
class Money:
    """`amount` counts minor units: 200000 VND is 200,000 đồng, 200000 USD is 2,000 dollars."""

    amount: int
    currency: Currency = Currency.VND

    def __str__(self) -> str:
        return f"{self.amount:,} {self.currency}"
