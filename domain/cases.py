"""
Cases: money that does not fit, waiting for people. Two of them close it, by the same decision.

    OPEN ──▶ AWAITING_SECOND ──▶ RESOLVED
               ↺ the first may change their word; after a day another may begin anew

What a decision does to money is in rulings.py; what may be decided is in the table CHOICES below.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.calendar import local
from domain.methods import GatewayName
from domain.money import Money
from domain.payments import PaymentStatus, TransitionRefused
from domain.refusals import InvalidInput, NotPermitted
from domain.staff import Role


class CaseKind(StrEnum):
    AMOUNT_MISMATCH = "AMOUNT_MISMATCH"
    CURRENCY_MISMATCH = "CURRENCY_MISMATCH"
    LATE_MONEY = "LATE_MONEY"
    PAID_TWICE = "PAID_TWICE"
    RECORD_REFUSED = "RECORD_REFUSED"  # Revenue refuses to record a success
    UNMATCHED = "UNMATCHED"
    SUSPICIOUS = "SUSPICIOUS"
    UNKNOWN_OUTCOME = "UNKNOWN_OUTCOME"  # of a payment
    REFUND_UNKNOWN = "REFUND_UNKNOWN"  # whether a refund was paid out
    VARIANCE = "VARIANCE"
    SETTLEMENT = "SETTLEMENT"
    APPROVAL = "APPROVAL"


class CaseStatus(StrEnum):
    OPEN = "OPEN"
    AWAITING_SECOND = "AWAITING_SECOND"
    RESOLVED = "RESOLVED"


class CaseDecision(StrEnum):
    """What two people may decide about money that does not fit."""

    APPLY = "APPLY"  # it is what was asked for: the bill is paid; the reversal is approved
    CREDIT = "CREDIT"  # the customer keeps it with us
    REFUND = "REFUND"  # the customer gets it back
    CLOSE = "CLOSE"  # there is nothing to move; the reversal is rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """
    One person's word on a case.

    `amount` is what came in their knowledge, in the minor unit that the gateway was asked in, where
    the gateway's own sum cannot be read.
    """

    actor: str
    decision: CaseDecision
    reason: str
    at: datetime
    amount: int | None = None

    def says(self, decision: CaseDecision, amount: int | None) -> bool:
        """Return whether it is just this word, whoever gave it."""
        return (self.decision, self.amount) == (decision, amount)


class CaseEffect(StrEnum):
    """What a decision does to the money of a case, or to its reversal."""

    PAY = "PAY"  # the money pays what the payment was for
    RECORD = "RECORD"  # Revenue is sent the record again
    CREDIT = "CREDIT"
    REFUND = "REFUND"
    END = "END"  # no money moves; a payment that was held is cancelled
    APPROVE = "APPROVE"  # the reversal begins
    REJECT = "REJECT"
    REFUND_DONE = "REFUND_DONE"
    REFUND_FAILED = "REFUND_FAILED"
    ACKNOWLEDGE = "ACKNOWLEDGE"  # nothing but the case changes


_GIVE_AWAY = {
    CaseDecision.CREDIT: CaseEffect.CREDIT,
    CaseDecision.REFUND: CaseEffect.REFUND,
    CaseDecision.CLOSE: CaseEffect.END,
}
_MONEY = {CaseDecision.APPLY: CaseEffect.PAY} | _GIVE_AWAY
_ACKNOWLEDGE = {CaseDecision.CLOSE: CaseEffect.ACKNOWLEDGE}

# Kind × decision → effect. A decision that is not listed is refused for that kind.
EFFECTS: dict[CaseKind, dict[CaseDecision, CaseEffect]] = {
    CaseKind.AMOUNT_MISMATCH: _MONEY,
    CaseKind.CURRENCY_MISMATCH: _MONEY,
    CaseKind.SUSPICIOUS: _MONEY,
    CaseKind.UNKNOWN_OUTCOME: _MONEY,
    CaseKind.LATE_MONEY: _MONEY,
    CaseKind.PAID_TWICE: _GIVE_AWAY,
    CaseKind.RECORD_REFUSED: {CaseDecision.APPLY: CaseEffect.RECORD} | _GIVE_AWAY,
    CaseKind.REFUND_UNKNOWN: {
        CaseDecision.APPLY: CaseEffect.REFUND_DONE,
        CaseDecision.CLOSE: CaseEffect.REFUND_FAILED,
    },
    CaseKind.APPROVAL: {
        CaseDecision.APPLY: CaseEffect.APPROVE,
        CaseDecision.CLOSE: CaseEffect.REJECT,
    },
    CaseKind.UNMATCHED: _ACKNOWLEDGE,
    CaseKind.VARIANCE: _ACKNOWLEDGE,
    CaseKind.SETTLEMENT: _ACKNOWLEDGE,
}

# Effects that `domain.case_decisions` decides, for they change the payment or move its money.
PAYMENT_EFFECTS = frozenset(_MONEY.values()) | {CaseEffect.RECORD}

# An open case of these kinds claims the sum that it names of the payment's suspense.
CLAIMS_ITS_SUM = frozenset({CaseKind.AMOUNT_MISMATCH, CaseKind.LATE_MONEY, CaseKind.PAID_TWICE})

# A later notice of an exact sum can settle a case of these kinds whose own sum is unreadable.
SETTLED_BY_A_SUM = frozenset({CaseKind.AMOUNT_MISMATCH, CaseKind.LATE_MONEY})

# For so long only who said it may change the first word: then they may be gone, and another begins anew.
VOTE_LIFETIME = timedelta(days=1)

# Nothing was booked when such a case was opened: it is about whatever comes, however much was named then.
ASSERTED = frozenset({CaseKind.SUSPICIOUS, CaseKind.UNKNOWN_OUTCOME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """
    What the books say of a case's payment, in VND where no currency is named.

    `suspense` and `foreign` wait for people, the latter in another currency; `claimed` is what of it
    the payment's other open cases are about. `receivable` is what its bills were paid with and what
    was not given back, of which `asked_back` awaits approval. `refused`: Revenue did not record it.
    `bills_open`: neither paid nor held by another payment.
    """

    status: PaymentStatus
    owed: int
    suspense: int
    claimed: int
    receivable: int
    refused: bool
    bills_open: bool
    asked_back: int = 0
    foreign: Money | None = None


class Step(StrEnum):
    """What one person's word is to a case."""

    REPEAT = "REPEAT"  # it was said before
    FIRST = "FIRST"
    SECOND = "SECOND"  # it is decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    `amount` is in VND, None where it is not known. Two people close it, by the same `decision`.
    `unreadable` is what the gateway wrote in its place, for as long as nobody knows the sum.

    `about` says what no other field names: a gateway's number, a settlement line. `approvals` are in
    the order in which they were given; whoever asked for a reversal has approved it by asking.
    `outcome` is what has become known since of a reversal whose outcome nobody knew. `seen_at` is when
    it was read, by the database's clock.
    """

    id: str
    kind: CaseKind
    status: CaseStatus
    opened_at: datetime
    amount: int | None = None
    payment_id: str | None = None
    gateway: GatewayName | None = None
    reversal_id: str | None = None
    hand_in_id: str | None = None
    about: str | None = None
    decision: CaseDecision | None = None
    resolved_at: datetime | None = None
    approvals: tuple[Approval, ...] = ()
    standing: Standing | None = None
    outcome: CaseDecision | None = None
    seen_at: datetime | None = None
    unreadable: str | None = None

    @property
    def owner(self) -> Role:
        """Who must act: nobody else may resolve a case, of whatever kind."""
        return Role.FINANCE

    @property
    def age_seconds(self) -> int:
        """How long it has waited; of a resolved one, how long it had to."""
        end = self.resolved_at or self.seen_at or self.opened_at
        return max(0, int((end - self.opened_at).total_seconds()))

    @property
    def choices(self) -> frozenset[CaseDecision]:
        """The decisions that people may take; one alone where a refund's outcome is known by now."""
        return frozenset(EFFECTS[self.kind]) if self.outcome is None else frozenset({self.outcome})

    def effect(self, decision: CaseDecision) -> CaseEffect:
        """Return what *decision*, one of the choices, does."""
        return EFFECTS[self.kind][decision]

    @property
    def number(self) -> str | None:
        """The gateway's number of the money whose sum cannot be read; None where it gave none."""
        if self.about is None or self.unreadable is None or self.about == self.unreadable:
            return None
        return self.about.removesuffix(f" · {self.unreadable}")

    def is_under(self, number: str | None) -> bool:
        """Return whether the unreadable sum is told of under *number*, where both have one."""
        return self.unreadable is not None and (
            number is None or self.number is None or self.number == number
        )

    @property
    def waiting(self) -> int:
        """How much money this case is about that has no owner yet, in VND; none while its sum cannot be read."""
        if self.standing is None or self.unreadable is not None:
            return 0
        if CaseDecision.REFUND not in self.choices:
            return 0
        if self.kind is CaseKind.RECORD_REFUSED:
            return self.standing.receivable if self.standing.refused else 0
        if self._sum is not None:
            return min(self._sum, self.standing.suspense)
        return max(0, self.standing.suspense - self.standing.claimed)

    @property
    def foreign(self) -> Money | None:
        """The money of this case in another currency."""
        known = self.unreadable is None and self._sum is None
        about_money = known and CaseDecision.REFUND in self.choices
        return self.standing.foreign if self.standing and about_money else None

    @property
    def _sum(self) -> int | None:
        """What was booked when the case was opened, in VND; None where that was not known."""
        return None if self.kind in ASSERTED else self.amount

    @property
    def suggestion(self) -> CaseDecision | None:
        """What the books speak for; None where people must judge alone, or it is decided."""
        now = self.standing
        if now is None or self.status is CaseStatus.RESOLVED:
            return None
        if self.unreadable is not None:
            return None
        if self.outcome is not None:
            return self.outcome
        if self.kind in {CaseKind.AMOUNT_MISMATCH, CaseKind.LATE_MONEY}:
            if now.suspense >= now.owed and now.bills_open and now.status is not _PAID:
                return CaseDecision.APPLY
        elif self.kind not in {CaseKind.CURRENCY_MISMATCH, CaseKind.PAID_TWICE}:
            return None
        if self.waiting or self.foreign:
            return CaseDecision.REFUND
        return CaseDecision.CLOSE if now.status is _PAID else None

    @property
    def first(self) -> Approval | None:
        """The word that waits for a second person who says the same; None where none does."""
        word = self._last
        if word is None or self.decision not in self.choices:
            return None
        return word if word.amount is None or self.unreadable is not None else None

    @property
    def _last(self) -> Approval | None:
        """The latest word with the case's present decision."""
        same = [word for word in self.approvals if word.decision is self.decision]
        return same[-1] if same else None

    def record_vote(self, actor: str, wanted: CaseDecision, amount: int | None = None) -> Step:
        """
        Return what the word of *actor* is to the case, about a sum of *amount* where they name one.

        Raises InvalidInput where it can't be decided so, or the first decided otherwise; NotPermitted
        for whoever asked for the reversal; AlreadyResolved.
        """
        if self.status is CaseStatus.RESOLVED:
            decided = self._last is not None and self._last.says(wanted, amount)
            agreed = {word.actor for word in self.approvals if word.says(wanted, amount)}
            if decided and actor in agreed:
                return Step.REPEAT
            raise AlreadyResolved(
                payment_id=self.payment_id, case_id=self.id, decision=self.decision
            )
        if wanted not in self.choices:
            raise _not_a_choice(self)
        if self.kind is CaseKind.APPROVAL:
            if any(approval.actor == actor for approval in self.approvals):
                raise NotPermitted(
                    why_vi="bạn là người đề nghị. Hãy nhờ người khác duyệt.",
                    why_en="you asked for it. Somebody else has to decide.",
                )
            return Step.SECOND
        first = self.first
        if first is None:
            return Step.FIRST
        if first.says(wanted, amount):
            return Step.REPEAT if actor == first.actor else Step.SECOND
        stands_until = first.at + VOTE_LIFETIME
        if actor == first.actor or (self.seen_at is not None and self.seen_at >= stands_until):
            return Step.FIRST
        raise _decided_otherwise(first, stands_until)


_PAID = PaymentStatus.SUCCESS


@dataclass(eq=False, kw_only=True)
class AlreadyResolved(TransitionRefused):
    vi = "Hồ sơ {case_id} đã được giải quyết: {decision}. Hãy tải lại danh sách."
    en = "Case {case_id} is resolved: {decision}. Load the list again."

    case_id: str
    decision: CaseDecision | None


def _not_a_choice(case: Case) -> InvalidInput:
    listed = ", ".join(item for item in CaseDecision if item in case.choices)
    if case.outcome is not None:
        return InvalidInput(
            field="decision",
            problem_vi=f"kết quả hoàn tiền đã rõ, hồ sơ chỉ còn nhận {listed}.",
            problem_en=f"what became of the refund is known by now: the case takes only {listed}.",
        )
    return InvalidInput(
        field="decision",
        problem_vi=f"hồ sơ loại này chỉ nhận {listed}.",
        problem_en=f"a case of this kind takes only {listed}.",
    )


def about_money(number: str | None, unreadable: str | None) -> str | None:
    """Return how a case names money: by the gateway's number, and by its sum as it was written."""
    if number is None or unreadable is None:
        return number or unreadable
    return f"{number} · {unreadable}"


def _decided_otherwise(first: Approval, until: datetime) -> InvalidInput:
    who, when = first.actor, f"{local(until):%H:%M %d/%m/%Y}"
    decided = first.decision if first.amount is None else f"{first.decision} {first.amount:,}"
    return InvalidInput(
        field="decision",
        problem_vi=f"{who} đã chọn {decided.replace(',', '.')}. Hãy chọn như vậy, hoặc nhờ {who} đổi quyết định;"
        f" từ {when} bạn có thể quyết định khác.",
        problem_en=f"{who} decided {decided}. Decide the same, or ask {who} to change it; from"
        f" {when} on you may decide otherwise.",
    )
