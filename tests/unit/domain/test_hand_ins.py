"""Hand-ins: who may count the cash, the variance, and the postings."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hand_ins import (
    MAX_COUNTED_AMOUNT,
    HandInConfirmed,
    HandInStatus,
    check_counted,
    counted,
    note_of,
)
from domain.ledger import Account
from domain.refusals import InvalidInput, NotPermitted
from tests.support.builders import LATER, a_hand_in


def test_the_counted_amount_is_the_collectors_until_the_cashier_counts() -> None:
    hand_in = a_hand_in()
    assert (hand_in.counted_amount, hand_in.variance) == (690_000, -10_000)
    confirmed = hand_in.confirmed(720_000, by="CA001", now=LATER)
    assert (confirmed.counted_amount, confirmed.variance) == (720_000, 20_000)
    assert (confirmed.declared_amount, confirmed.expected_amount) == (690_000, 700_000)
    assert (confirmed.status, confirmed.confirmed_by) == (HandInStatus.CONFIRMED, "CA001")
    assert confirmed.confirmed_at == LATER


def test_nobody_counts_their_own_hand_in() -> None:
    with pytest.raises(NotPermitted):
        a_hand_in().confirmed(700_000, by="NV001", now=LATER)


def test_the_same_figure_again_has_no_effect_and_another_is_refused() -> None:
    confirmed = a_hand_in().confirmed(0, by="CA001", now=LATER)
    assert confirmed.confirmed(0, by="CA002", now=LATER) is confirmed
    with pytest.raises(HandInConfirmed) as caught:
        confirmed.confirmed(700_000, by="CA001", now=LATER)
    assert caught.value.counted_amount == 0


@given(expected=st.integers(1, 10**12), banked=st.integers(0, 10**12))
def test_the_expected_cash_leaves_the_collector_and_the_counted_cash_arrives(
    expected: int, banked: int
) -> None:
    hand_in = a_hand_in(expected_amount=expected).confirmed(banked, by="CA001", now=LATER)
    balance = dict.fromkeys((Account.STAFF_CASH, Account.BANK, Account.VARIANCE), 0)
    for posting in counted(hand_in):
        balance[posting.debit] += posting.money.amount
        balance[posting.credit] -= posting.money.amount
        assert posting.staff_id == "NV001"
    assert balance[Account.STAFF_CASH] == -expected
    assert balance[Account.BANK] == banked
    assert balance[Account.VARIANCE] == expected - banked == -hand_in.variance


@pytest.mark.parametrize("amount", [-1, MAX_COUNTED_AMOUNT + 1])
def test_a_counted_amount_is_within_bounds(amount: int) -> None:
    with pytest.raises(InvalidInput):
        check_counted(amount)
    check_counted(0)


def test_an_empty_note_is_none_and_a_long_one_is_refused() -> None:
    assert note_of(" \n") is None
    assert note_of(" hai tờ rách ") == "hai tờ rách"
    assert note_of("hai\ntờ") == "hai\ntờ"
    for wrong in ("x" * 501, "a\0b", "\u202etrái", "\x1b[31mđỏ"):
        with pytest.raises(InvalidInput):
            note_of(wrong)
