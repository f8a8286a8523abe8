"""Which movements of a settlement file are the same: their times may differ by rounding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.money import Currency, Money
from domain.settlement import LineKind, Movement

NOON = datetime(2026, 3, 4, 5, 6, 7, 250_000, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)  # in Vietnam


def movement(**but: Any) -> Movement:
    return Movement(
        **{
            "kind": LineKind.PAYMENT,
            "reference": "MB0001",
            "gateway_id": "G1",
            "money": Money(200_000),
            "at": NOON,
        }
        | but
    )


@pytest.mark.parametrize(
    ("time", "other"),
    [
        (NOON, NOON),
        (NOON, NOON.replace(microsecond=0)),
        (NOON, NOON.replace(second=0, microsecond=0)),
        (NOON.replace(microsecond=500_000), NOON.replace(second=8, microsecond=0)),
        (NOON.replace(second=30), NOON.replace(minute=7, second=0, microsecond=0)),
        (NOON.replace(second=59), NOON.replace(second=0, microsecond=0)),
        (NOON.replace(second=59), NOON.replace(minute=7, second=0, microsecond=0)),
        (NOON.replace(microsecond=123_456), NOON.replace(microsecond=123_000)),
        (NOON.replace(microsecond=123_556), NOON.replace(microsecond=124_000)),
        (NOON.replace(microsecond=123_556), NOON.replace(microsecond=100_000)),
        (NOON.replace(microsecond=123_456), NOON.replace(microsecond=123_450)),
        (NOON.replace(microsecond=999_999), NOON.replace(second=8, microsecond=0)),
    ],
    ids=[
        "equal",
        "to the second",
        "to the minute",
        "up to the second",
        "up",
        "nearly one",
        "nearly one up",
        "to the millisecond",
        "up to the millisecond",
        "to a tenth",
        "to five digits",
        "up from six digits",
    ],
)
def test_times_that_differ_by_rounding_are_one_movement(time: datetime, other: datetime) -> None:
    first, second = movement(at=time), movement(at=other)
    assert first.repeats(second)
    assert second.repeats(first)


@pytest.mark.parametrize(
    ("time", "other"),
    [
        (NOON, NOON + timedelta(seconds=1)),
        (NOON.replace(second=7), NOON.replace(second=37)),
        (NOON, NOON.replace(minute=8, second=0, microsecond=0)),
        (NOON.replace(second=0, microsecond=0), NOON.replace(minute=7, second=0, microsecond=0)),
        (NOON.replace(microsecond=0), NOON.replace(second=8, microsecond=0)),
        (NOON, NOON.replace(microsecond=300_000) + timedelta(microseconds=1)),
        (NOON, NOON.replace(second=6, microsecond=0)),
        (NOON, NOON.replace(second=8, microsecond=0)),
        (NOON.replace(second=0, microsecond=0), NOON.replace(minute=8, second=0, microsecond=0)),
        (MIDNIGHT - timedelta(seconds=20), MIDNIGHT),
        (NOON, NOON + timedelta(days=1)),
        (NOON, NOON.replace(hour=0, minute=0, second=0, microsecond=0)),
    ],
    ids=[
        "a second",
        "within",
        "a minute",
        "the next whole minute",
        "the next whole second",
        "within a second",
        "the second before",
        "the second after the nearest",
        "two whole minutes",
        "over midnight",
        "a day",
        "day only",
    ],
)
def test_times_that_differ_by_more_are_two_movements(time: datetime, other: datetime) -> None:
    assert not movement(at=time).repeats(movement(at=other))


@pytest.mark.parametrize(
    "but",
    [
        {"kind": LineKind.REFUND},
        {"reference": "MB0002"},
        {"gateway_id": "G2"},
        {"gateway_id": None},
        {"money": Money(199_999)},
        {"money": Money(200_000, Currency.USD)},
    ],
    ids=["kind", "reference", "number", "no number", "sum", "currency"],
)
def test_another_kind_reference_number_or_sum_is_another_movement(but: dict[str, Any]) -> None:
    assert not movement().repeats(movement(**but))
