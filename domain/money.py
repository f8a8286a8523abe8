"""Money: an exact amount of a currency's minor unit. VND has none, so its amounts are whole đồng."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

LARGEST = 2**53 - 1  # what a JSON number carries exactly
RATE_GOOD_FOR = timedelta(days=7)  # an older rate is not charged by: somebody must set today's


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
    """What a dollar costs, in đồng, on a day: for those who take no đồng."""

    dong: int
    day: date

    def is_good(self, today: date) -> bool:
        return self.day <= today + timedelta(days=1) and today - self.day <= RATE_GOOD_FOR

    def dollars(self, money: Money) -> Money:
        """Return *money* in cents, the last one begun counted whole: nobody pays less than they owe."""
        assert money.currency is Currency.VND
        return Money(-(-money.amount * 100 // self.dong), Currency.USD)
