"""
Double-entry bookkeeping. A posting names a debit and a credit, so it always balances.

    cash            staff_cash               → customer_receivable
    wallet          wallet_clearing          → customer_receivable
    gateway         gateway_clearing:<name>  → customer_receivable
    paid too much   … the excess             → customer_credit
    does not fit    … all of it              → suspense
      two people    suspense                 → customer_receivable, customer_credit
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payments import Payment


class Account(StrEnum):
    STAFF_CASH = "staff_cash"
    WALLET_CLEARING = "wallet_clearing"
    VNPAY_CLEARING = "gateway_clearing:vnpay"
    MOMO_CLEARING = "gateway_clearing:momo"
    STRIPE_CLEARING = "gateway_clearing:stripe"
    PAYPAL_CLEARING = "gateway_clearing:paypal"
    BANK = "bank"
    CUSTOMER_RECEIVABLE = "customer_receivable"
    CUSTOMER_CREDIT = "customer_credit"
    SUSPENSE = "suspense"
    REFUNDS_PAYABLE = "refunds_payable"
    VARIANCE = "variance"


# The account that holds collected money until it reaches the bank; None is cash.
CLEARING: dict[GatewayName | None, Account] = {
    None: Account.STAFF_CASH,
    GatewayName.FPT_PAY: Account.WALLET_CLEARING,
    GatewayName.VNPAY: Account.VNPAY_CLEARING,
    GatewayName.BANK: Account.BANK,
    GatewayName.MOMO: Account.MOMO_CLEARING,
    GatewayName.STRIPE: Account.STRIPE_CLEARING,
    GatewayName.PAYPAL: Account.PAYPAL_CLEARING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """`money` moves from `credit` to `debit`. `staff_id` is a dimension of both accounts."""

    debit: Account
    credit: Account
    money: Money
    staff_id: str | None

    def __post_init__(self) -> None:
        assert self.money.amount > 0, "a posting moves a positive amount"
        assert self.debit is not self.credit, "a posting moves money between two accounts"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One side of a posting; the amount of the other side is None."""

    account: str
    debit: int | None
    credit: int | None
    currency: Currency


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The postings of one event; each is two lines here, the debit first."""

    id: str
    event: str
    created_at: datetime
    postings: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountBalance:
    """The sums of an account's debits and credits in one currency, up to some moment."""

    account: str
    currency: Currency
    debit: int
    credit: int

    @property
    def balance(self) -> int:
        """Positive is what we own, negative is what we owe."""
        return self.debit - self.credit


def collected(payment: Payment, received: Money) -> tuple[Posting, ...]:
    """Return the postings of a success: the bill is paid, and any excess is credited."""
    account = CLEARING[payment.gateway]
    postings = (
        Posting(
            debit=account,
            credit=Account.CUSTOMER_RECEIVABLE,
            money=payment.money,
            staff_id=payment.staff_id,
        ),
    )
    excess = received.amount - payment.amount
    if received.currency is Currency.VND and excess > 0:
        postings += (
            Posting(
                debit=account,
                credit=Account.CUSTOMER_CREDIT,
                money=Money(excess, received.currency),
                staff_id=payment.staff_id,
            ),
        )
    return postings


def to_suspense(payment: Payment, received: Money | None) -> tuple[Posting, ...]:
    """Return the postings of money that fits no bill: it waits in suspense for a decision."""
    if received is None or received.amount <= 0:
        return ()
    return (
        Posting(
            debit=CLEARING[payment.gateway],
            credit=Account.SUSPENSE,
            money=received,
            staff_id=payment.staff_id,
        ),
    )


def from_suspense(payment: Payment, *, excess: int) -> tuple[Posting, ...]:
    """Return the postings of suspense that pays the bill; *excess* in VND is credited."""
    postings = (
        Posting(
            debit=Account.SUSPENSE,
            credit=Account.CUSTOMER_RECEIVABLE,
            money=payment.money,
            staff_id=payment.staff_id,
        ),
    )
    return postings + (credited(payment, Account.SUSPENSE, excess) if excess else ())


def credited(payment: Payment, source: Account, amount: int) -> tuple[Posting, ...]:
    """Return the posting that credits *amount* of VND to the customer."""
    return (
        Posting(
            debit=source,
            credit=Account.CUSTOMER_CREDIT,
            money=Money(amount, Currency.VND),
            staff_id=payment.staff_id,
        ),
    )
