"""Dollars for đồng: by a recent rate, rounded up to the cent."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import RATE_GOOD_FOR, Currency, Money, Rate

TODAY = date(2025, 7, 29)


@given(amount=st.integers(1, 10**10), dong=st.integers(1000, 999_999))
def test_dollars_cover_the_debt_by_less_than_a_cent(amount: int, dong: int) -> None:
    dollars = Rate(dong_per_dollar=dong, day=TODAY).dollars(Money(amount))
    assert dollars.currency is Currency.USD
    assert (dollars.amount - 1) * dong < amount * 100 <= dollars.amount * dong


def test_the_bill_of_the_specification_in_dollars() -> None:
    assert Rate(dong_per_dollar=26_000, day=TODAY).dollars(Money(200_000)) == Money(
        770, Currency.USD
    )


@pytest.mark.parametrize(
    ("age", "good"),
    [
        (timedelta(0), True),
        (RATE_GOOD_FOR, True),
        (RATE_GOOD_FOR + timedelta(days=1), False),
        (-timedelta(days=1), True),  # set in a zone where the day had begun
        (-timedelta(days=2), False),
    ],
)
def test_a_rate_is_good_for_a_week(age: timedelta, good: bool) -> None:
    assert Rate(dong_per_dollar=26_000, day=TODAY - age).is_good(TODAY) is good
