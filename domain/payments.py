"""
A payment: one try at collecting bills and fees, or a merchant's order, by one method.

    PENDING ──▶ PROCESSING ──▶ SUCCESS ◀─ ─ ─ ┐ LATE_SUCCESS, when money
       │            ├────────▶ FAILED    ─ ─ ─┤ is proven to have arrived
       │            ├────────▶ EXPIRED   ─ ─ ─┤ after all
       │            └────────▶ CANCELLED ─ ─ ─┘
       └─▶ SUCCESS (cash) · FAILED · CANCELLED

SUCCESS is final: only a reversal, which is a record of its own, undoes it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from domain.attempts import Attempt, Failure
from domain.bills import Item
from domain.methods import GatewayName, PaymentMethod
from domain.money import Currency, Money
from domain.orders import Order
from domain.refusals import Refusal, RefusalCode


class PaymentStatus(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class Custody(StrEnum):
    """Where a cash payment's money is."""

    HELD_BY_STAFF = "HELD_BY_STAFF"
    HANDED_IN = "HANDED_IN"
    RECONCILED = "RECONCILED"
    VOIDED = "VOIDED"


class HoldReason(StrEnum):
    """Why a PROCESSING payment waits for two people."""

    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    GATEWAY_SUSPICIOUS = "GATEWAY_SUSPICIOUS"
    UNKNOWN_OUTCOME = "UNKNOWN_OUTCOME"


class PostingStatus(StrEnum):
    """Revenue Management's record of the payment."""

    NONE = "NONE"
    PENDING = "PENDING"
    DONE = "DONE"
    FAILED = "FAILED"


TRANSITIONS: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    PaymentStatus.PENDING: frozenset(
        {
            PaymentStatus.PROCESSING,
            PaymentStatus.SUCCESS,
            PaymentStatus.FAILED,
            PaymentStatus.CANCELLED,
        }
    ),
    PaymentStatus.PROCESSING: frozenset(
        {
            PaymentStatus.SUCCESS,
            PaymentStatus.FAILED,
            PaymentStatus.EXPIRED,
            PaymentStatus.CANCELLED,
        }
    ),
    PaymentStatus.SUCCESS: frozenset(),
    PaymentStatus.FAILED: frozenset(),
    PaymentStatus.EXPIRED: frozenset(),
    PaymentStatus.CANCELLED: frozenset(),
}

# LATE_SUCCESS: proven money corrects these final states to SUCCESS.
LATE_SUCCESS_FROM = frozenset(
    {PaymentStatus.FAILED, PaymentStatus.EXPIRED, PaymentStatus.CANCELLED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Whom to notify of the success, by which channels; decided when the payment is created."""

    phone: str | None = None
    hifpt: bool = False
    sms: bool = False
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """
    A payment. Every change makes a new value with the next `version`, which never decreases.

    `amount` is in the minor unit of `currency`. `business_date` is the Vietnamese day of creation,
    on which limits count it. `attempt` is the latest one, None for cash. `receipt_token` is the
    unguessable key of the public receipt. A payment of bills has a contract and items and no
    `order`; an order's payment has neither. `staff_id` is who opened it: a member of staff or a
    merchant. The result page redirects an order's payer to `return_url`.
    """

    id: str
    version: int
    status: PaymentStatus
    method: PaymentMethod
    amount: int
    currency: Currency
    contract_number: str | None
    customer_name: str
    items: tuple[Item, ...]
    staff_id: str
    staff_name: str
    team: str | None
    business_date: date
    receipt_token: str
    notify: Notify
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    completed_at: datetime | None = None
    custody: Custody | None = None
    hold_reason: HoldReason | None = None
    needs_verification: bool = False
    late: bool = False
    posting_status: PostingStatus = PostingStatus.NONE
    attempt: Attempt | None = None
    order: Order | None = None
    return_url: str | None = None

    @property
    def money(self) -> Money:
        return Money(self.amount, self.currency)

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self.status]

    @property
    def gateway(self) -> GatewayName | None:
        return self.attempt.gateway if self.attempt else None

    @property
    def gateway_reference(self) -> str | None:
        return self.attempt.reference if self.attempt else None

    @property
    def payment_url(self) -> str | None:
        return self.attempt.payment_url if self.attempt and not self.is_final else None

    @property
    def qr_payload(self) -> str | None:
        return self.attempt.qr_payload if self.attempt and not self.is_final else None

    @property
    def failure(self) -> Failure | None:
        return self.attempt.failure if self.attempt else None

    def become(self, status: PaymentStatus, now: datetime) -> Payment:
        """Return the payment moved to *status*. Raises MoveRefused unless TRANSITIONS has it."""
        if status not in TRANSITIONS[self.status]:
            raise MoveRefused(payment_id=self.id, status=self.status, wanted=status)
        return self._moved(status, now)

    def succeed_late(self, now: datetime) -> Payment:
        """Return the payment corrected from another final state to SUCCESS. Raises MoveRefused."""
        if self.status not in LATE_SUCCESS_FROM:
            raise MoveRefused(payment_id=self.id, status=self.status, wanted=PaymentStatus.SUCCESS)
        return replace(self._moved(PaymentStatus.SUCCESS, now), late=True)

    def _moved(self, status: PaymentStatus, now: datetime) -> Payment:
        moved = replace(self, status=status, version=self.version + 1, updated_at=now)
        if not moved.is_final:
            return moved
        moved = replace(moved, completed_at=now, needs_verification=False, hold_reason=None)
        if status is not PaymentStatus.SUCCESS:
            return moved
        owed = self.contract_number is not None  # Revenue records bills, not orders
        return replace(
            moved,
            posting_status=PostingStatus.PENDING if owed else PostingStatus.NONE,
            custody=Custody.HELD_BY_STAFF if self.method is PaymentMethod.CASH else None,
        )

    def updated(self, now: datetime, **changes: object) -> Payment:
        """Return the payment in the same status with these fields changed."""
        return replace(self, version=self.version + 1, updated_at=now, **changes)  # type: ignore[arg-type]


@dataclass(eq=False, kw_only=True)
class TransitionRefused(Refusal):
    """The command does not fit the present state. Subclasses say what to do instead."""

    code = RefusalCode.TRANSITION_REFUSED
    vi = "Không thể làm việc này ở trạng thái hiện tại. Hãy tải lại rồi xem."
    en = "This cannot be done as things stand. Load it again and look."

    payment_id: str | None


@dataclass(eq=False, kw_only=True)
class MoveRefused(TransitionRefused):
    vi = (
        "Giao dịch {payment_id} đang ở trạng thái {status}, không thể chuyển sang {wanted}."
        " Hãy tải lại giao dịch."
    )
    en = "Payment {payment_id} is {status} and cannot become {wanted}. Load the payment again."

    status: PaymentStatus
    wanted: PaymentStatus
