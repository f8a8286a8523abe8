"""Limits: what counts against which, and the refusal beyond one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.limits import Limit, LimitExceeded, LimitKind, kinds_of
from domain.methods import PaymentMethod
from tests.support.builders import NOW

EVERY = tuple(LimitKind)
STAFF_MONEY = {
    PaymentMethod.CASH: {LimitKind.PER_TRANSACTION, LimitKind.DAILY, LimitKind.CASH_IN_HAND},
    PaymentMethod.FPT_PAY: {LimitKind.PER_TRANSACTION, LimitKind.DAILY},
}


@pytest.mark.parametrize("method", PaymentMethod)
def test_only_staff_money_counts_against_limits(method: PaymentMethod) -> None:
    assert set(kinds_of(method)) == STAFF_MONEY.get(method, set())


@given(
    ceiling=st.integers(0, 10**10),
    used=st.integers(0, 10**10),
    reserved=st.integers(0, 10**10),
    amount=st.integers(1, 10**10),
)
def test_the_limit_minus_used_and_reserved_remains_to_the_last_dong(
    ceiling: int, used: int, reserved: int, amount: int
) -> None:
    limit = Limit(
        staff_id="NV001", kind=LimitKind.DAILY, limit=ceiling, used=used, reserved=reserved
    )
    assert limit.remaining == max(0, ceiling - used - reserved)
    assert limit.allows(amount) == (amount <= limit.remaining)
    if limit.remaining:
        assert limit.allows(limit.remaining)
    assert not limit.allows(limit.remaining + 1)


def test_the_refusal_has_every_figure_and_the_agreed_sentence() -> None:
    limit = Limit(
        staff_id="NV001",
        kind=LimitKind.DAILY,
        limit=10_000_000,
        used=2_000_000,
        reserved=500_000,
        resets_at=NOW,
    )
    refusal = LimitExceeded.of(limit, 8_000_000)
    assert refusal.text("vi") == "Vượt quá hạn mức gạch nợ bằng tiền mặt"
    assert "7,500,000" in refusal.text("en")
    assert refusal.details == {
        "kind": LimitKind.DAILY,
        "limit": 10_000_000,
        "requested": 8_000_000,
        "used": 2_000_000,
        "reserved": 500_000,
        "remaining": 7_500_000,
        "resets_at": NOW,
    }
