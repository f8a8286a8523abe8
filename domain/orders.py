"""
A merchant's generic order: its own reference, an amount, a currency.

    OPEN ──▶ PAID       by one payment, live or successful, at a time
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from domain.bills import BillAlreadyPaid, BillLocked
from domain.cards import check_token
from domain.methods import STAFF_MONEY, PaymentMethod
from domain.money import Currency, Money
from domain.refusals import InvalidInput, check_amount
from domain.sentences import InputProblem

MAX_REFERENCE_LENGTH, MAX_DESCRIPTION_LENGTH, MAX_URL_LENGTH = 64, 200, 2000
# Printable ASCII without a backslash, which browsers read as a slash.
_ADDRESS = re.compile(rf"[!-\[\]-~]{{1,{MAX_URL_LENGTH}}}", re.ASCII)


class OrderStatus(StrEnum):
    OPEN = "OPEN"
    PAID = "PAID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order; `reference` is the merchant's own, `amount` in the minor unit of `currency`."""

    id: str
    merchant_id: str
    merchant_name: str
    reference: str
    amount: int
    currency: Currency
    description: str
    status: OrderStatus
    created_at: datetime
    paid_at: datetime | None = None

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateOrder:
    """The command to create an order. The same reference with the same facts is the same order."""

    idempotency_key: str
    reference: str
    amount: int
    currency: Currency = Currency.VND
    description: str = ""

    @property
    def facts(self) -> dict[str, object]:
        return {
            "reference": self.reference,
            "amount": self.amount,
            "currency": self.currency,
            "description": self.description,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PayOrder:
    """
    The command to pay an order, which is named by its id or by its `reference`.

    An unknown `reference` creates the order. `amount` must equal the order's; the result page
    redirects the payer to `return_url`; `card_token` is as in ProcessPayment.
    """

    idempotency_key: str
    order_id: str | None = None
    reference: str | None = None
    amount: int
    method: PaymentMethod
    return_url: str | None = None
    card_token: str | None = field(default=None, repr=False)

    @property
    def facts(self) -> dict[str, object]:
        return {
            "order": self.order_id,
            "reference": self.reference,
            "amount": self.amount,
            "method": self.method,
            "return_url": self.return_url,
            "card": self.card_token,
        }


def check_order(command: CreateOrder) -> None:
    """Raise InvalidInput if no order can be created from *command*."""
    _check_reference(command.reference)
    _check_text("description", command.description, shortest=0, longest=MAX_DESCRIPTION_LENGTH)
    check_amount(command.amount)
    if command.currency is not Currency.VND:
        raise InvalidInput.because(InputProblem.ORDER_CURRENCY, field="currency")


def check_payment(command: PayOrder) -> None:
    """Raise InvalidInput if *command* could pay no order at all."""
    if command.reference is not None:
        _check_reference(command.reference)
    check_amount(command.amount)
    check_token(command.method, command.card_token)
    if command.method in STAFF_MONEY:
        raise InvalidInput.because(InputProblem.ORDER_METHOD, field="method")
    if command.return_url is not None and not _is_web_address(command.return_url):
        raise InvalidInput.because(
            InputProblem.WEB_ADDRESS, field="returnUrl", longest=MAX_URL_LENGTH
        )


def _is_web_address(text: str) -> bool:
    if not _ADDRESS.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc


def _check_reference(reference: str) -> None:
    _check_text("reference", reference, shortest=1, longest=MAX_REFERENCE_LENGTH)


def _check_text(field: str, text: str, *, shortest: int, longest: int) -> None:
    if not (shortest <= len(text.strip()) and len(text) <= longest and text.isprintable()):
        raise InvalidInput.because(
            InputProblem.TEXT_LENGTH, field=field, shortest=shortest, longest=longest
        )


@dataclass(eq=False, kw_only=True)
class OrderInPayment(BillLocked):
    """The order has a live payment, and takes one at a time. `bill_number` is None."""

    vi = (
        "Đơn hàng đang được thanh toán bằng {method}, đến {until}. Hãy tiếp tục hoặc huỷ giao dịch"
        " {payment_id}."
    )
    en = (
        "The order is being paid by {method}, until {until}. Resume or cancel payment {payment_id}."
    )


@dataclass(eq=False, kw_only=True)
class OrderAlreadyPaid(BillAlreadyPaid):
    """The order is paid. `bill_number` is None."""

    vi = "Đơn hàng đã được thanh toán lúc {paid_at}. Không cần trả nữa."
    en = "The order was paid at {paid_at}. There is nothing left to pay."
