"""
A hand-in: cash that a collector brings to the office, where a cashier counts it.

    payment   HELD_BY_STAFF ──▶ HANDED_IN ──▶ RECONCILED
    hand-in                     SUBMITTED ──▶ CONFIRMED

Until the cashier has counted it, the cash counts as the collector's, in the ledger and in their
limit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum

from domain.ledger import Account, Posting
from domain.money import Money
from domain.refusals import InvalidInput, NotPermitted, Refusal, RefusalCode
from domain.sentences import InputProblem, PermissionReason

MAX_NOTE_LENGTH = 500
MAX_COUNTED_AMOUNT = 10**12  # two million notes; more is a typing error


class HandInStatus(StrEnum):
    SUBMITTED = "SUBMITTED"
    CONFIRMED = "CONFIRMED"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitHandIn:
    """The command to hand in all cash that the actor holds; `counted_amount` in VND."""

    idempotency_key: str
    counted_amount: int
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandIn:
    """
    One hand-in; amounts in VND.

    `expected_amount` is the sum of its payments, `declared_amount` the collector's count and
    `cashier_amount` the cashier's, None until then. `business_date` is the Vietnamese day on which
    it was submitted, `team` the collector's team on that day.
    """

    id: str
    staff_id: str
    staff_name: str
    team: str | None
    status: HandInStatus
    expected_amount: int
    declared_amount: int
    note: str | None
    business_date: date
    submitted_at: datetime
    cashier_amount: int | None = None
    confirmed_at: datetime | None = None
    confirmed_by: str | None = None

    @property
    def counted_amount(self) -> int:
        """The cashier's figure, or the collector's until there is one."""
        return self.declared_amount if self.cashier_amount is None else self.cashier_amount

    @property
    def variance(self) -> int:
        """The counted amount minus the expected one; negative if cash is missing."""
        return self.counted_amount - self.expected_amount

    def confirmed(self, counted: int, *, by: str, now: datetime) -> HandIn:
        """
        Return the hand-in as its cashier counted it; unchanged if the same figure comes again.

        Raises NotPermitted if its submitter counts, HandInConfirmed for a second, other figure.
        """
        if by == self.staff_id:
            raise NotPermitted.because(PermissionReason.COUNTS_OWN_CASH)
        if self.status is HandInStatus.CONFIRMED:
            if counted != self.counted_amount:
                raise HandInConfirmed(
                    hand_in_id=self.id,
                    counted_amount=self.counted_amount,
                    confirmed_at=self.confirmed_at,
                )
            return self
        return replace(
            self,
            status=HandInStatus.CONFIRMED,
            cashier_amount=counted,
            confirmed_at=now,
            confirmed_by=by,
        )


def check_counted(amount: int) -> None:
    """Raise InvalidInput for a negative or absurdly large amount."""
    if not 0 <= amount <= MAX_COUNTED_AMOUNT:
        raise InvalidInput.because(InputProblem.COUNTED_AMOUNT, field="countedAmount")


def note_of(text: str | None) -> str | None:
    """Return *text* without outer spaces, None if empty. Raises InvalidInput."""
    note = (text or "").strip()
    if len(note) > MAX_NOTE_LENGTH:
        raise InvalidInput.because(InputProblem.NOTE_LENGTH, field="note", longest=MAX_NOTE_LENGTH)
    if not all(line.isprintable() for line in note.splitlines()):
        raise InvalidInput.because(InputProblem.NOTE_CHARACTERS, field="note")
    return note or None


def no_cash_held() -> InvalidInput:
    """Return the refusal of a hand-in without cash; cash whose void is undecided does not count."""
    return InvalidInput.because(InputProblem.NO_CASH_HELD, field="countedAmount")


def counted(hand_in: HandIn) -> tuple[Posting, ...]:
    """
    Return the postings of a confirmed hand-in: the whole expected amount leaves the collector.

    The counted amount is at the bank; a difference is a variance, with a case.
    """
    banked = min(hand_in.counted_amount, hand_in.expected_amount)
    moves = (
        (Account.BANK, Account.STAFF_CASH, banked),
        (Account.VARIANCE, Account.STAFF_CASH, -hand_in.variance),
        (Account.BANK, Account.VARIANCE, hand_in.variance),
    )
    return tuple(
        Posting(debit=debit, credit=credit, money=Money(amount), staff_id=hand_in.staff_id)
        for debit, credit, amount in moves
        if amount > 0
    )


@dataclass(eq=False, kw_only=True)
class HandInConfirmed(Refusal):
    code = RefusalCode.TRANSITION_REFUSED
    vi = (
        "Lần nộp tiền {hand_in_id} đã được xác nhận lúc {confirmed_at} với {counted_amount} đ. Số"
        " tiền đã đếm không sửa được; chênh lệch được xử lý trong hồ sơ của nó."
    )
    en = (
        "Hand-in {hand_in_id} was confirmed at {confirmed_at} with {counted_amount} VND. That"
        " figure stays; what differs is settled in its case."
    )

    hand_in_id: str
    counted_amount: int
    confirmed_at: datetime | None
