"""Bookkeeping: what each outcome moves, from where to where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import CLEARING, Account, Posting, collected, unexplained
from domain.methods import GATEWAY_OF, PaymentMethod
from domain.money import LARGEST, Currency, Money
from tests.support.builders import a_payment

methods = st.sampled_from(PaymentMethod)
amounts = st.integers(1, LARGEST // 2)


@given(method=methods, owed=amounts, excess=st.integers(0, LARGEST // 2))
def test_a_success_clears_exactly_what_was_owed_and_credits_the_rest(
    method: PaymentMethod, owed: int, excess: int
) -> None:
    payment = a_payment(method=method, amount=owed)
    postings = collected(payment, Money(owed + excess))
    sums = {
        account: sum(posting.money.amount for posting in postings if posting.credit is account)
        for account in (Account.CUSTOMER_RECEIVABLE, Account.CUSTOMER_CREDIT)
    }
    assert sums == {Account.CUSTOMER_RECEIVABLE: owed, Account.CUSTOMER_CREDIT: excess}
    assert {posting.debit for posting in postings} == {CLEARING[GATEWAY_OF[method]]}
    assert {posting.staff_id for posting in postings} == {"NV001"}


@given(method=methods, amount=st.integers(-5, LARGEST), currency=st.sampled_from(Currency))
def test_money_that_fits_nothing_waits_whole_in_suspense(
    method: PaymentMethod, amount: int, currency: Currency
) -> None:
    postings = unexplained(a_payment(method=method), Money(amount, currency))
    if amount <= 0:
        assert postings == ()
        return
    assert [(posting.credit, posting.money) for posting in postings] == [
        (Account.SUSPENSE, Money(amount, currency))
    ]


def test_money_of_which_nobody_knows_how_much_is_not_booked() -> None:
    assert unexplained(a_payment(), None) == ()


@pytest.mark.parametrize("amount", [0, -1])
def test_a_posting_moves_something(amount: int) -> None:
    with pytest.raises(AssertionError):
        _posting(amount, Account.BANK, Account.SUSPENSE)


def test_a_posting_has_two_sides() -> None:
    with pytest.raises(AssertionError):
        _posting(1, Account.BANK, Account.BANK)


def test_every_method_has_a_place_where_its_money_stands() -> None:
    places = [CLEARING[GATEWAY_OF[method]] for method in PaymentMethod]
    assert len(set(places)) == len(PaymentMethod)


def _posting(amount: int, debit: Account, credit: Account) -> Posting:
    return Posting(debit=debit, credit=credit, money=Money(amount), staff_id=None)
