"""Shares: each refund in đồng as cents of the captured sum, exact to the last one."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import Account
from domain.methods import PaymentMethod
from domain.money import Currency, Money
from domain.payments import Payment
from domain.refund_fx import TooSmallToShare, share_of
from domain.reversals import Reversal, ReversalKind, ReversalStatus
from tests.support.builders import NOW, a_payment

CAPTURED = Money(770, Currency.USD)  # 200,000 VND at 26,000


def paid(amount: int = 200_000) -> Payment:
    return a_payment(method=PaymentMethod.PAYPAL, amount=amount)


def a_refund(amount: int, share: Money | None, **but: object) -> Reversal:
    refund = Reversal(
        id="REV_1",
        payment_id="TXN_1",
        kind=ReversalKind.REFUND,
        status=ReversalStatus.DONE,
        amount=amount,
        currency=Currency.VND,
        source=Account.CUSTOMER_RECEIVABLE,
        reason="x",
        requested_by="FI001",
        created_at=NOW,
        updated_at=NOW,
        share=share,
    )
    return replace(refund, **but)


def shares(payment: Payment, captured: Money, *parts: int) -> list[int]:
    """Return the share of each part, refunded one after the other."""
    earlier: list[Reversal] = []
    for part in parts:
        share = share_of(payment, part, captured=captured, earlier=earlier)
        assert share is not None
        assert share.currency is captured.currency
        earlier.append(a_refund(part, share))
    return [refund.share.amount for refund in earlier if refund.share]


def test_in_one_currency_there_is_no_share() -> None:
    assert share_of(paid(), 1, captured=Money(200_000), earlier=()) is None


@pytest.mark.parametrize(
    ("parts", "cents"),
    [
        ((200_000,), [770]),
        ((100_000, 100_000), [385, 385]),
        ((50_000, 150_000), [193, 577]),  # 192.5 is rounded up
        ((66_666, 66_667, 66_667), [257, 256, 257]),
        ((199_999, 1), [769, 1]),  # a cent is left for the rest
        ((1, 199_999), None),
    ],
)
def test_parts_of_the_bill_of_the_specification(
    parts: tuple[int, ...], cents: list[int] | None
) -> None:
    if cents is None:
        with pytest.raises(TooSmallToShare):
            shares(paid(), CAPTURED, *parts)
    else:
        assert shares(paid(), CAPTURED, *parts) == cents


def test_a_failed_share_is_free_again_and_one_that_awaits_approval_is_not() -> None:
    first = a_refund(100_000, Money(385, Currency.USD))
    for status, expected in ((ReversalStatus.FAILED, 385), (ReversalStatus.AWAITING_APPROVAL, 193)):
        earlier = [replace(first, status=status)]
        share = share_of(
            paid(), 50_000 if expected == 193 else 100_000, captured=CAPTURED, earlier=earlier
        )
        assert share == Money(expected, Currency.USD)


def test_refunds_by_accounting_take_no_share() -> None:
    by_hand = a_refund(100_000, None)
    assert share_of(paid(), 100_000, captured=CAPTURED, earlier=[by_hand]) == Money(
        385, Currency.USD
    )


@pytest.mark.parametrize("language", ["vi", "en"])
def test_less_than_a_cent_is_refused_with_the_least_sum_that_is_one(language: str) -> None:
    with pytest.raises(TooSmallToShare) as caught:
        shares(paid(), CAPTURED, 129)
    least = caught.value.expected
    assert (least, caught.value.requested) == (130, 129)
    assert shares(paid(), CAPTURED, least) == [1]
    assert "130" in caught.value.text(language)


@given(
    dong=st.integers(1, 10_000_000),
    rate=st.integers(20_000, 30_000),
    cuts=st.lists(st.floats(0, 1), max_size=8),
    failed=st.integers(0, 9),
)
def test_shares_are_proportional_and_sum_up_to_the_whole(
    dong: int, rate: int, cuts: list[float], failed: int
) -> None:
    payment, captured = paid(dong), Money(-(-dong * 100 // rate), Currency.USD)
    earlier: list[Reversal] = []

    def totals() -> tuple[int, int]:
        valid = [refund for refund in earlier if refund.status is not ReversalStatus.FAILED]
        return (
            sum(refund.amount for refund in valid),
            sum(refund.gateway_money.amount for refund in valid),
        )

    for number, cut in enumerate([*cuts, 1.0]):
        left = dong - totals()[0]
        part = left if cut == 1.0 else max(1, int(left * cut))
        if not left:
            return
        share = None
        try:
            share = share_of(payment, part, captured=captured, earlier=earlier)
        except TooSmallToShare as refusal:
            least = refusal.expected
        else:
            least = 1
        if part < least:
            assert least <= left, "the rest can always be refunded"
            share_of(payment, least, captured=captured, earlier=earlier)
            with pytest.raises(TooSmallToShare):
                share_of(payment, least - 1, captured=captured, earlier=earlier)
            continue
        assert share is not None
        assert share.amount > 0
        status = ReversalStatus.FAILED if number == failed and part < left else ReversalStatus.DONE
        earlier.append(a_refund(part, share, status=status))
        refunded, cents = totals()
        assert cents <= captured.amount
        if status is ReversalStatus.DONE:
            exact = Fraction(captured.amount * refunded, dong)
            assert cents == captured.amount if refunded == dong else abs(cents - exact) <= 1
    assert totals() == (dong, captured.amount)
