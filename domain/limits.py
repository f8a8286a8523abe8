"""How much staff money (cash, wallet) one member of staff may take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.methods import STAFF_MONEY, PaymentMethod
from domain.refusals import Refusal, RefusalCode


class LimitKind(StrEnum):
    PER_TRANSACTION = "PER_TRANSACTION"
    DAILY = "DAILY"
    CASH_IN_HAND = "CASH_IN_HAND"


class LimitSource(StrEnum):
    STAFF_MANAGEMENT = "STAFF_MANAGEMENT"
    CACHED = "CACHED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """
    One ceiling in VND and what counts against it.

    PER_TRANSACTION has no `used`: it bounds each payment alone. Only DAILY resets, when the
    Vietnamese day ends.
    """

    staff_id: str
    kind: LimitKind
    limit: int
    used: int = 0
    reserved: int = 0
    resets_at: datetime | None = None
    source: LimitSource = LimitSource.STAFF_MANAGEMENT

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used - self.reserved)

    def allows(self, amount: int) -> bool:
        """Return whether *amount* still fits below the ceiling."""
        return amount <= self.limit - self.used - self.reserved


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffLimits:
    """Staff Management's limits of one member of staff and their use today, in VND."""

    per_transaction: int
    daily: int
    used_today: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    """
    What Staff Management reports as used today, and what our payments used; in VND.

    It reported `first_reported` at our first reading of the day, `last_reported` at the previous
    one, and `reported` now. `own_used` counts from the first reading and includes reservations,
    because Staff Management may count a success before we do.
    """

    first_reported: int
    last_reported: int
    reported: int
    own_used: int

    @property
    def has_drifted(self) -> bool:
        """Whether Staff Management newly counts more than we took: money was taken elsewhere."""
        return (
            self.reported > self.last_reported
            and self.reported - self.first_reported > self.own_used
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitPreview:
    """Whether an amount would be allowed now; the payment itself checks again."""

    allowed: bool
    limits: tuple[Limit, ...]


def kinds_of(method: PaymentMethod) -> tuple[LimitKind, ...]:
    """Return the limits that a payment by *method* counts against."""
    if method not in STAFF_MONEY:
        return ()
    if method is PaymentMethod.CASH:
        return (LimitKind.PER_TRANSACTION, LimitKind.DAILY, LimitKind.CASH_IN_HAND)
    return (LimitKind.PER_TRANSACTION, LimitKind.DAILY)


@dataclass(eq=False, kw_only=True)
class LimitExceeded(Refusal):
    code = RefusalCode.PAYMENT_LIMIT_EXCEEDED
    vi = "Vượt quá hạn mức gạch nợ bằng tiền mặt"
    en = (
        "The staff collection limit is exceeded: {remaining} remains of {limit},"
        " {requested} was requested."
    )

    kind: LimitKind
    limit: int
    requested: int
    used: int
    reserved: int
    remaining: int
    resets_at: datetime | None

    @classmethod
    def of(cls, limit: Limit, requested: int) -> LimitExceeded:
        return cls(
            kind=limit.kind,
            limit=limit.limit,
            requested=requested,
            used=limit.used,
            reserved=limit.reserved,
            remaining=limit.remaining,
            resets_at=limit.resets_at,
        )
