"""Reconciliation: settlement lines compared with our books, and a gateway's day as a whole."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.settlement import Line, LineKind, Movement, OurPayment, OurRefund, SettlementResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationLine:
    """
    A stored line: one of a file compared with our books, or one that only we have so far.

    `reported_amount` is the file's and `own_amount` ours, in the minor unit of `currency`. Each is
    None if that side has nothing, or has it in another currency. `id` is None until it is stored.
    """

    settlement_id: str
    kind: LineKind
    reference: str
    gateway_id: str | None
    day: date
    at: datetime | None
    reported_amount: int | None
    own_amount: int | None
    currency: Currency
    result: SettlementResult
    payment_id: str | None
    reversal_id: str | None
    case_id: str | None
    id: int | None = None

    @property
    def movement(self) -> Movement | None:
        """The movement of the file's line; None while no file names it."""
        if self.reported_amount is None or self.at is None:
            return None
        return Movement(
            kind=self.kind,
            reference=self.reference,
            gateway_id=self.gateway_id,
            money=Money(self.reported_amount, self.currency),
            at=self.at,
        )


def repeated_by(
    line: Line, earlier: Iterable[ReconciliationLine], claimed: Collection[int]
) -> ReconciliationLine | None:
    """
    Return the line of *earlier* that *line* repeats, the nearest in time.

    Lines with an id in `claimed` were repeated before; each is repeated once.
    """
    candidates = [
        (abs(movement.at - line.at), candidate)
        for candidate in earlier
        if candidate.id not in claimed
        and (movement := candidate.movement)
        and line.movement.repeats(movement)
    ]
    return min(candidates, key=lambda pair: pair[0])[1] if candidates else None


def compare(line: Line, ours: OurPayment | OurRefund | None, *, repeated: bool) -> SettlementResult:
    """Return how *line* compares with *ours*; `repeated` if an earlier line was about the same."""
    if repeated:
        return SettlementResult.DUPLICATE
    if ours is None or ours.money is None:
        return SettlementResult.THEIRS_ONLY
    if ours.money != line.money:
        return SettlementResult.AMOUNT_DIFFERS
    return SettlementResult.MATCHED


def reconciliation_line(
    line: Line,
    payment: OurPayment | None,
    refund: OurRefund | None,
    earlier: Sequence[ReconciliationLine],
    *,
    settlement_id: str,
    foreign: bool = False,
) -> ReconciliationLine:
    """
    Return *line* compared with what we have, ready to store.

    *earlier* holds the stored lines of its kind and reference. A line that only we had is completed
    and keeps its id and case. A `foreign` line is another program's.
    """
    if line.kind is LineKind.PAYMENT:
        ours, same = payment, earlier
        repeated = any(item.reported_amount is not None for item in earlier)
    else:
        ours = refund
        known = refund.reversal_id if refund else None
        same = [item for item in earlier if item.reversal_id == known]
        # Without a refund of ours each line counts by itself, unless it repeats an earlier one.
        repeated = refund.settled if refund else repeated_by(line, same, ()) is not None
    compared = compare(line, ours, repeated=repeated)
    result = SettlementResult.FOREIGN if foreign else compared
    money = ours.money if ours and not repeated else None
    ours_only = next((item for item in same if item.reported_amount is None), None)
    explained = payment.case_of(line, result) if payment and ours is payment else None
    return ReconciliationLine(
        id=ours_only.id if ours_only else None,
        settlement_id=settlement_id,
        kind=line.kind,
        reference=line.reference,
        gateway_id=line.gateway_id,
        day=line.day,
        at=line.at,
        reported_amount=line.money.amount,
        own_amount=money.amount if money and money.currency is line.money.currency else None,
        currency=line.money.currency,
        result=result,
        payment_id=payment.payment_id if payment else None,
        reversal_id=refund.reversal_id if refund else None,
        case_id=explained or (ours_only.case_id if ours_only else None),
    )


def disputed_amount(line: ReconciliationLine) -> int | None:
    """Return the sum in VND for a case about *line*; None if it has none."""
    if line.currency is not Currency.VND:
        return None
    if line.result is SettlementResult.AMOUNT_DIFFERS and line.reported_amount is not None:
        return None if line.own_amount is None else abs(line.reported_amount - line.own_amount)
    return line.reported_amount if line.reported_amount is not None else line.own_amount


# ── a day ────────────────────────────────────────────────────────────────────────────────────────


class ReconciliationStatus(StrEnum):
    """How far a gateway's day is: MATCHED and RESOLVED are done."""

    NOT_IMPORTED = "NOT_IMPORTED"  # no file covers the day
    MATCHED = "MATCHED"  # both sides agree on every line
    DIFFERENCES = "DIFFERENCES"  # a case of the day is open
    RESOLVED = "RESOLVED"  # every difference is decided


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationCounts:
    matched: int = 0
    amount_differs: int = 0
    ours_only: int = 0
    theirs_only: int = 0
    duplicate: int = 0

    @property
    def differences(self) -> int:
        return self.amount_differs + self.ours_only + self.theirs_only + self.duplicate


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignLines:
    """
    Other programs' lines of one kind and currency; `amount` is their sum in the minor unit.

    What cannot be read of them is None, and so is a sum that exceeds MAX_JSON_INTEGER.
    """

    kind: LineKind | None
    currency: Currency | None
    count: int
    amount: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """A gateway's Vietnamese day; `imported` if a file covers it."""

    gateway: GatewayName
    date: date
    imported: bool
    open_cases: int
    counts: ReconciliationCounts

    @property
    def status(self) -> ReconciliationStatus:
        if self.open_cases:
            return ReconciliationStatus.DIFFERENCES
        if self.counts.differences:
            return ReconciliationStatus.RESOLVED
        return ReconciliationStatus.MATCHED if self.imported else ReconciliationStatus.NOT_IMPORTED
