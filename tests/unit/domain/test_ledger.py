"""Bookkeeping: the postings of each outcome."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger import CLEARING, Account, Posting, collected, to_suspense
from domain.methods import GATEWAY_OF, PaymentMethod
from domain.money import MAX_JSON_INTEGER, Currency, Money
from tests.support.builders import a_payment

methods = st.sampled_from(PaymentMethod)
amounts = st.integers(1, MAX_JSON_INTEGER // 2)


@given(method=methods, owed=amounts, excess=st.integers(0, MAX_JSON_INTEGER // 2))
def test_a_success_pays_the_debt_exactly_and_credits_the_excess(
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


@given(method=methods, amount=st.integers(-5, MAX_JSON_INTEGER), currency=st.sampled_from(Currency))
def test_money_that_fits_no_bill_goes_to_suspense(
    method: PaymentMethod, amount: int, currency: Currency
) -> None:
    postings = to_suspense(a_payment(method=method), Money(amount, currency))
    if amount <= 0:
        assert postings == ()
        return
    assert [(posting.credit, posting.money) for posting in postings] == [
        (Account.SUSPENSE, Money(amount, currency))
    ]


def test_an_unknown_sum_is_not_booked() -> None:
    assert to_suspense(a_payment(), None) == ()


@pytest.mark.parametrize("amount", [0, -1])
@pytest.mark.invariant(8)
def test_a_posting_moves_a_positive_amount(amount: int) -> None:
    with pytest.raises(AssertionError):
        _posting(amount, Account.BANK, Account.SUSPENSE)


@pytest.mark.invariant(15)
def test_a_posting_has_two_accounts() -> None:
    with pytest.raises(AssertionError):
        _posting(1, Account.BANK, Account.BANK)


def test_every_method_has_a_clearing_account_of_its_own() -> None:
    accounts = [CLEARING[GATEWAY_OF[method]] for method in PaymentMethod]
    assert len(set(accounts)) == len(PaymentMethod)


def _posting(amount: int, debit: Account, credit: Account) -> Posting:
    return Posting(debit=debit, credit=credit, money=Money(amount), staff_id=None)
