"""
Settlement: the lines of a gateway's file, compared with what we have. Each difference is a case.

    MATCHED          both sides have the same sum
    AMOUNT_DIFFERS   both sides have it, with another sum or currency
    OURS_ONLY        we have it, and no file so far names it
    THEIRS_ONLY      the file has it, and we have no such money
    DUPLICATE        the file names it again
    FOREIGN          it belongs to another program on the same account; counted, without a case
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from domain.attempts import Attempt, AttemptStatus
from domain.calendar import business_date
from domain.cases import CaseKind
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import PaymentStatus


class LineKind(StrEnum):
    PAYMENT = "PAYMENT"
    REFUND = "REFUND"


class SettlementResult(StrEnum):
    MATCHED = "MATCHED"
    AMOUNT_DIFFERS = "AMOUNT_DIFFERS"
    OURS_ONLY = "OURS_ONLY"
    THEIRS_ONLY = "THEIRS_ONLY"
    DUPLICATE = "DUPLICATE"
    FOREIGN = "FOREIGN"


# Lines with these results need no case.
RESULTS_WITHOUT_CASE = frozenset({SettlementResult.MATCHED, SettlementResult.FOREIGN})

# Kinds of case that already explain money of a payment that is not a success.
EXPLAINING_KINDS = frozenset(
    {
        CaseKind.AMOUNT_MISMATCH,
        CaseKind.CURRENCY_MISMATCH,
        CaseKind.LATE_MONEY,
        CaseKind.SUSPICIOUS,
        CaseKind.UNKNOWN_OUTCOME,
    }
)


# Some exports round their times to one of these.
_ROUNDED_TO = (timedelta(minutes=1), *(timedelta(microseconds=10**n) for n in range(6, 0, -1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that moved, as a line lists it; `gateway_id` is None if the line has no number."""

    kind: LineKind
    reference: str
    gateway_id: str | None
    money: Money
    at: datetime

    @property
    def day(self) -> date:
        """The Vietnamese day of the movement."""
        return business_date(self.at)

    def repeats(self, other: Movement) -> bool:
        """Return whether *other* is the same movement, with a time that may be rounded."""
        return (
            (self.kind, self.reference, self.gateway_id, self.money)
            == (other.kind, other.reference, other.gateway_id, other.money)
            and self.day == other.day
            and _is_rounding(self.at, other.at)
        )


def _is_rounding(left: datetime, right: datetime) -> bool:
    """Return whether two times are equal, or one is the other, cut or rounded to fewer digits."""
    return left == right or _is_rounded(left, right) or _is_rounded(right, left)


def _is_rounded(coarse: datetime, fine: datetime) -> bool:
    return any(coarse in _cut_and_rounded(fine, unit) for unit in _ROUNDED_TO)


def _cut_and_rounded(moment: datetime, unit: timedelta) -> tuple[datetime, datetime]:
    rest = (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)) % unit
    cut = moment - rest
    return cut, cut + unit if rest * 2 >= unit else cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Line(Movement):
    """
    A line of a settlement file; `number` is the line's number in the file.

    `reference` is our reference of the payment, also on the line of its refund. `gateway_id` is the
    gateway's number of this movement.
    """

    number: int

    @property
    def movement(self) -> Movement:
        return Movement(
            kind=self.kind,
            reference=self.reference,
            gateway_id=self.gateway_id,
            money=self.money,
            at=self.at,
        )

    def evidence(self, gateway: GatewayName, file: str) -> Evidence:
        """Return the evidence of this line of *file*, for a payment."""
        return Evidence(
            source=EvidenceSource.SETTLEMENT,
            origin=f"{gateway.lower()}:settlement",
            result=GatewayResult.PAID,
            money=self.money,
            gateway_id=self.gateway_id,
            event_id=f"{file}:{self.number}"[-200:],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignLine:
    """
    A line of another program that is not written as ours are; what cannot be read is None.

    `problem` says why it is no Line. Equal lines have the same `digest`. `reference` and
    `gateway_id` are cut to 128 characters, unprintable ones replaced. `amount` is in the minor
    unit, None too if the line lists no money that moved.
    """

    number: int
    problem: str
    digest: bytes
    reference: str
    gateway_id: str
    kind: LineKind | None
    amount: int | None
    currency: Currency | None
    day: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OurPayment:
    """
    What we have under a reference.

    `requested` is the requested sum, `arrived` the first money that we booked. `explained_by` is
    its open case of a kind in EXPLAINING_KINDS, `paid_twice` its open PAID_TWICE case.
    """

    payment_id: str
    status: PaymentStatus
    requested: Money
    arrived: Money | None
    paid_under: tuple[str, ...] = ()
    explained_by: str | None = None
    paid_twice: str | None = None

    @property
    def money(self) -> Money | None:
        """The sum to compare: the requested one while an open case explains the payment."""
        if self.status is not PaymentStatus.SUCCESS and self.explained_by is not None:
            return self.requested
        return self.arrived

    def case_of(self, line: Line, result: SettlementResult) -> str | None:
        """Return the id of the open case that is already about *line*, or None."""
        if result is SettlementResult.DUPLICATE:
            return self.paid_twice if line.gateway_id in self.paid_under[1:] else None
        return None if self.status is PaymentStatus.SUCCESS else self.explained_by


@dataclass(frozen=True, slots=True, kw_only=True)
class OurRefund:
    """
    A refund of ours through the gateway; `requested` is its sum in the gateway's currency.

    It is `done`, `failed` after it was sent, or `unsure`; `settled` once a line is about it.
    """

    reversal_id: str
    requested: Money
    gateway_id: str | None
    unsure: bool = False
    done: bool = False
    failed: bool = False
    settled: bool = False

    @property
    def money(self) -> Money | None:
        return self.requested if self.done else None


def is_new_evidence(line: Line, attempt: Attempt, numbers: Collection[str | None]) -> bool:
    """
    Return whether *line* is new evidence about *attempt*.

    About a paid attempt it is new only if the line has another number and *numbers*, those of the
    earlier lines, include one that we know: then it is a second payment of the reference.
    """
    if attempt.status is not AttemptStatus.PAID:
        return True
    is_unknown = line.gateway_id is not None and line.gateway_id not in attempt.paid_under
    return is_unknown and any(number in attempt.paid_under for number in numbers)


def proves_refund(line: Line, refund: OurRefund) -> bool:
    """Return whether *line* proves a refund that is unsure or failed here."""
    return (refund.unsure or refund.failed) and refund.requested == line.money


def refund_of(
    line: Line, refunds: Collection[OurRefund], *, repeated: bool = False
) -> OurRefund | None:
    """
    Return the refund that *line* is about, or None.

    First by number; then a refund of the same sum that no line has named, failed ones last, for the
    gateway may have paid them after all; then the only one left.

    A `repeated` line proves no other refund, so only refunds that are done are compared.
    """
    for refund in refunds:
        if line.gateway_id is not None and refund.gateway_id == line.gateway_id:
            return refund
    left = [refund for refund in refunds if not refund.settled and (refund.done or not repeated)]
    left.sort(key=lambda refund: refund.failed)
    same_sum = [refund for refund in left if refund.requested == line.money]
    not_failed = [refund for refund in left if not refund.failed]
    return same_sum[0] if same_sum else not_failed[0] if len(not_failed) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportSummary:
    """
    The summary of an import. `known_lines` counts those that earlier files had.

    `imported_at` is when the same file was imported before; the import then did nothing.
    """

    file: str
    lines: int
    known_lines: int
    results: dict[SettlementResult, int]
    cases: int
    imported_at: datetime | None = None
