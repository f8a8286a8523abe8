"""Bills and fees: what a contract owes, and which live payment holds each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from domain.methods import PaymentMethod
from domain.refusals import Refusal, RefusalCode


class ItemType(StrEnum):
    BILL = "BILL"
    FEE = "FEE"


class BillStatus(StrEnum):
    UNPAID = "UNPAID"
    PAID = "PAID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """The live payment that holds a bill."""

    payment_id: str
    method: PaymentMethod
    held_by: str
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """A bill of one period; `amount` in VND. `lock` is None unless a live payment holds it."""

    bill_number: str
    period_from: date
    period_to: date
    amount: int
    content: str
    issue_date: date
    status: BillStatus
    lock: Lock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A one-off charge; `amount` in VND."""

    fee_id: str
    content: str
    amount: int
    status: BillStatus
    lock: Lock | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastPayment:
    """A payment of the contract as Revenue Management recorded it."""

    transaction_id: str
    paid_at: datetime
    amount: int
    method: str


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class Item:
    """One bill or fee that a payment pays in full. Items are locked in sorted order."""

    type: ItemType
    id: str
    amount: int


@dataclass(eq=False, kw_only=True)
class BillLocked(Refusal):
    code = RefusalCode.BILL_LOCKED
    vi = (
        "{bill_number} đang được {held_by} thu bằng {method}, đến {until}. Nếu là giao dịch của"
        " bạn, hãy tiếp tục hoặc huỷ; nếu không, hãy hỏi {held_by}."
    )
    en = (
        "{bill_number} is being collected by {held_by} by {method}, until {until}. If the payment"
        " is yours, resume or cancel it; if not, ask {held_by}."
    )

    bill_number: str | None
    payment_id: str | None
    held_by: str
    method: PaymentMethod
    until: datetime | None


@dataclass(eq=False, kw_only=True)
class BillAlreadyPaid(Refusal):
    code = RefusalCode.BILL_ALREADY_PAID
    vi = "{bill_number} đã được thanh toán. Hãy tải lại danh sách cước."
    en = "{bill_number} is already paid. Reload the list of bills."

    bill_number: str | None
    paid_at: datetime | None


@dataclass(eq=False, kw_only=True)
class AmountMismatch(Refusal):
    code = RefusalCode.AMOUNT_MISMATCH
    vi = "Số tiền của {id} là {expected}, không phải {requested}. Hãy thu đúng số tiền."
    en = "{id} is for {expected}, not {requested}. Collect the exact amount."

    id: str
    expected: int
    requested: int
