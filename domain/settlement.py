"""
Settlement: what a gateway says afterwards that it settled, beside what we have. Money that does not agree is a case.

    MATCHED          both say the same
    AMOUNT_DIFFERS   both have it, for another sum or in another currency
    OURS_ONLY        we have it, and no file so far names it
    THEIRS_ONLY      they settled it, and we have nothing of the kind
    DUPLICATE        they name it once more
    FOREIGN          it is another program's, which uses the same account: counted, and no case
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
from domain.money import Money
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
NO_CASE = frozenset({SettlementResult.MATCHED, SettlementResult.FOREIGN})

# Cases that already say what is wrong with money that is not a success.
EXPLAINS = frozenset(
    {
        CaseKind.AMOUNT_MISMATCH,
        CaseKind.CURRENCY_MISMATCH,
        CaseKind.LATE_MONEY,
        CaseKind.SUSPICIOUS,
        CaseKind.UNKNOWN_OUTCOME,
    }
)


# Exports round their times to one of these.
_ROUNDED_TO = (timedelta(seconds=1), timedelta(minutes=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that moved, as a line lists it; `gateway_id` is None where the line has no number."""

    kind: LineKind
    reference: str
    gateway_id: str | None
    money: Money
    at: datetime

    @property
    def day(self) -> date:
        """The Vietnamese day that it counts to."""
        return business_date(self.at)

    def repeats(self, other: Movement) -> bool:
        """Return whether *other* says the same, with a time that differs by its rounding at most."""
        return (
            (self.kind, self.reference, self.gateway_id, self.money)
            == (other.kind, other.reference, other.gateway_id, other.money)
            and self.day == other.day
            and _is_rounding(self.at, other.at)
        )


def _is_rounding(left: datetime, right: datetime) -> bool:
    """Return whether two times are equal, or the one may be the other after rounding."""
    apart = abs(left - right)
    return not apart or any(
        apart <= unit and (_is_whole(left, unit) or _is_whole(right, unit)) for unit in _ROUNDED_TO
    )


def _is_whole(moment: datetime, unit: timedelta) -> bool:
    return not (moment - moment.replace(hour=0, minute=0, second=0, microsecond=0)) % unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """
    A line of a settlement file: money that moved there.

    `reference` is what we gave the gateway for the payment, also on the line of its refund;
    `gateway_id` is the gateway's own number of what moved. `number` is the line's in its file.
    """

    number: int
    kind: LineKind
    reference: str
    gateway_id: str | None
    money: Money
    at: datetime

    @property
    def movement(self) -> Movement:
        return Movement(
            kind=self.kind,
            reference=self.reference,
            gateway_id=self.gateway_id,
            money=self.money,
            at=self.at,
        )

    @property
    def day(self) -> date:
        return self.movement.day

    def evidence(self, gateway: GatewayName, file: str) -> Evidence:
        return Evidence(
            source=EvidenceSource.SETTLEMENT,
            origin=f"{gateway.lower()}:settlement",
            result=GatewayResult.PAID,
            money=self.money,
            gateway_id=self.gateway_id,
            event_id=f"{file}:{self.number}"[-200:],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OurPayment:
    """
    What we have under a reference. `arrived` is the first money that we booked for it.

    `case_id` is the open case of it that is one of EXPLAINS, or PAID_TWICE of a number in `paid_under`.
    """

    payment_id: str
    status: PaymentStatus
    asked: Money
    arrived: Money | None
    paid_under: tuple[str, ...] = ()
    explained_by: str | None = None
    paid_twice: str | None = None

    @property
    def money(self) -> Money | None:
        """What we hold to be ours: what was asked, while people still have to say what arrived."""
        if self.status is not PaymentStatus.SUCCESS and self.explained_by is not None:
            return self.asked
        return self.arrived

    def case_of(self, line: Line, result: SettlementResult) -> str | None:
        """Return the open case that is already about *line*; None where there is none."""
        if result is SettlementResult.DUPLICATE:
            return self.paid_twice if line.gateway_id in self.paid_under[1:] else None
        return None if self.status is PaymentStatus.SUCCESS else self.explained_by


@dataclass(frozen=True, slots=True, kw_only=True)
class OurRefund:
    """
    A refund of ours through the gateway, which is `done`, `failed` after it was sent, or so far `unsure`.

    `settled` once a line of a file is about it.
    """

    reversal_id: str
    asked: Money
    gateway_id: str | None
    unsure: bool = False
    done: bool = False
    failed: bool = False
    settled: bool = False

    @property
    def money(self) -> Money | None:
        return self.asked if self.done else None


def tells_of_money(line: Line, attempt: Attempt, numbers: Collection[str | None]) -> bool:
    """
    Tell whether *line* says of *attempt* what we do not know, and so is evidence.

    Of what is paid it only is where the gateway settled another payment of the same reference, and
    its *numbers* so far are those that we know it by: a number is no news where theirs are others.
    """
    if attempt.status is not AttemptStatus.PAID:
        return True
    new = line.gateway_id is not None and line.gateway_id not in attempt.paid_under
    return new and any(number in attempt.paid_under for number in numbers)


def tells_of_refund(line: Line, refund: OurRefund) -> bool:
    """Tell whether *line* says that a refund was paid out whose outcome we do not know, or know otherwise."""
    return (refund.unsure or refund.failed) and refund.asked == line.money


def refund_of(
    line: Line, refunds: Collection[OurRefund], *, again: bool = False
) -> OurRefund | None:
    """
    Return the refund of the payment that *line* is about.

    By its number where we know it; else one of the same sum that no line has named yet, one that failed
    last: its gateway may have made it after all. Else the only one left.

    A line that comes `again` is no evidence for another refund: only refunds that are done are compared.
    """
    for refund in refunds:
        if line.gateway_id is not None and refund.gateway_id == line.gateway_id:
            return refund
    left = [refund for refund in refunds if not refund.settled and (refund.done or not again)]
    left.sort(key=lambda item: item.failed)
    same = [item for item in left if item.asked == line.money]
    only = [item for item in left if not item.failed]
    return same[0] if same else only[0] if len(only) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """
    What an import did. `known` lines were in an earlier file; `since` is when this very file was
    imported before, and then nothing was done.
    """

    file: str
    lines: int
    known: int
    results: dict[SettlementResult, int]
    cases: int
    since: datetime | None = None
