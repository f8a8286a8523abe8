"""Money: a whole number of a currency's minor unit. VND has none: its unit is one đồng."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

MAX_JSON_INTEGER = 2**53 - 1  # the largest integer that JSON numbers carry exactly
RATE_GOOD_FOR = timedelta(days=7)  # no charge uses an older rate


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """The price of a dollar in đồng on a day, for gateways that take no VND."""

    dong_per_dollar: int
    day: date

    def is_good(self, today: date) -> bool:
        """Return whether the rate is at most 7 days old, and of tomorrow at the latest."""
        return self.day <= today + timedelta(days=1) and today - self.day <= RATE_GOOD_FOR

    def dollars(self, money: Money) -> Money:
        """Return *money*, which is VND, in US cents, rounded up so that no debt is underpaid."""
        assert money.currency is Currency.VND
        return Money(-(-money.amount * 100 // self.dong_per_dollar), Currency.USD)
