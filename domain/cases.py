"""
Cases: money that does not fit, waiting for two people who take the same decision.

    OPEN ──▶ AWAITING_SECOND ──▶ RESOLVED
               ↺ the first may change their vote; after a day another may vote anew

The table EFFECTS says what each decision about each kind does; `domain/case_decisions.py` does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.methods import GatewayName
from domain.money import Money
from domain.payments import PaymentStatus, TransitionRefused
from domain.refusals import InvalidInput, NotPermitted
from domain.sentences import InputProblem, PermissionReason
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
    """What two people may decide about a case."""

    APPLY = "APPLY"  # the money pays the bill; the reversal is approved
    CREDIT = "CREDIT"  # the money becomes the customer's credit
    REFUND = "REFUND"  # the money goes back to the payer
    CLOSE = "CLOSE"  # no money moves; the reversal is rejected


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """
    One person's vote on a case.

    `amount` is the sum that arrived, in the minor unit of the attempt's currency. It is stated
    only if the gateway's own sum is unreadable.
    """

    actor: str
    decision: CaseDecision
    reason: str
    at: datetime
    amount: int | None = None

    def matches(self, decision: CaseDecision, amount: int | None) -> bool:
        """Return whether this vote is for the same decision and sum."""
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


_WITHOUT_APPLY = {
    CaseDecision.CREDIT: CaseEffect.CREDIT,
    CaseDecision.REFUND: CaseEffect.REFUND,
    CaseDecision.CLOSE: CaseEffect.END,
}
_MONEY = {CaseDecision.APPLY: CaseEffect.PAY} | _WITHOUT_APPLY
_ACKNOWLEDGE = {CaseDecision.CLOSE: CaseEffect.ACKNOWLEDGE}

_RESULT = {CaseDecision.APPLY: CaseEffect.REFUND_DONE, CaseDecision.CLOSE: CaseEffect.REFUND_FAILED}
_APPROVAL = {CaseDecision.APPLY: CaseEffect.APPROVE, CaseDecision.CLOSE: CaseEffect.REJECT}

# Kind × decision → effect. A decision that is not listed is refused for that kind.
EFFECTS: dict[CaseKind, dict[CaseDecision, CaseEffect]] = {
    CaseKind.AMOUNT_MISMATCH: _MONEY,
    CaseKind.CURRENCY_MISMATCH: _MONEY,
    CaseKind.SUSPICIOUS: _MONEY,
    CaseKind.UNKNOWN_OUTCOME: _MONEY,
    CaseKind.LATE_MONEY: _MONEY,
    CaseKind.PAID_TWICE: _WITHOUT_APPLY,
    CaseKind.RECORD_REFUSED: {CaseDecision.APPLY: CaseEffect.RECORD} | _WITHOUT_APPLY,
    CaseKind.REFUND_UNKNOWN: _RESULT,
    CaseKind.APPROVAL: _APPROVAL,
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

VOTE_LIFETIME = timedelta(days=1)  # after it another person may vote anew

# A case of these kinds books nothing when it opens; it is about all money that comes later.
ASSERTED = frozenset({CaseKind.SUSPICIOUS, CaseKind.UNKNOWN_OUTCOME})


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentBooks:
    """
    The books of a case's payment, in VND where no currency is named.

    `owed` is the payment's amount. `suspense` waits for a decision, `foreign` too in another
    currency; `claimed` is the part of `suspense` that the payment's other open cases name.
    `receivable` is what paid its bills and was not reversed; reversals of `refund_requested` await
    approval. `refused`: Revenue refused the record. `bills_open`: its bills are neither paid nor
    held by another payment.
    """

    status: PaymentStatus
    owed: int
    suspense: int
    claimed: int
    receivable: int
    refused: bool
    bills_open: bool
    refund_requested: int = 0
    foreign: Money | None = None


class Step(StrEnum):
    """What one person's vote is to a case."""

    REPEAT = "REPEAT"  # the same vote again
    FIRST = "FIRST"
    SECOND = "SECOND"  # the case is decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    A case. Two people resolve it by the same `decision`.

    `amount` is in VND, None if it is not known; `unreadable` is then the sum as the gateway wrote
    it, until the sum is known. `about` names what no other field does: a gateway's number, a
    settlement line. `approvals` are in order; requesting a reversal is the first approval of it.
    `outcome` is the one possible decision once a REFUND_UNKNOWN refund's outcome is known.
    `seen_at` is when the row was read, by the database's clock.
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
    books: PaymentBooks | None = None
    outcome: CaseDecision | None = None
    seen_at: datetime | None = None
    unreadable: str | None = None

    @property
    def owner(self) -> Role:
        """The role that must act; no other may resolve a case of any kind."""
        return Role.FINANCE

    @property
    def age_seconds(self) -> int:
        """How long the case has waited, or had waited when it was resolved."""
        end = self.resolved_at or self.seen_at or self.opened_at
        return max(0, int((end - self.opened_at).total_seconds()))

    @property
    def choices(self) -> frozenset[CaseDecision]:
        """The decisions that people may take: one only if the refund's outcome is known."""
        return frozenset(EFFECTS[self.kind]) if self.outcome is None else frozenset({self.outcome})

    def effect(self, decision: CaseDecision) -> CaseEffect:
        """Return what *decision*, one of the choices, does."""
        return EFFECTS[self.kind][decision]

    @property
    def number(self) -> str | None:
        """The gateway's number of the money with the unreadable sum; None if it gave none."""
        if self.about is None or self.unreadable is None or self.about == self.unreadable:
            return None
        return self.about.removesuffix(f" · {self.unreadable}")

    def is_under(self, number: str | None) -> bool:
        """Return whether the unreadable sum may have *number*; None on either side matches."""
        return self.unreadable is not None and (
            number is None or self.number is None or self.number == number
        )

    @property
    def undecided_amount(self) -> int:
        """The money of this case without an owner, in VND; 0 while its sum is unreadable."""
        about_money = self.unreadable is None and CaseDecision.REFUND in self.choices
        if self.books is None or not about_money:
            return 0
        if self.kind is CaseKind.RECORD_REFUSED:
            return self.books.receivable if self.books.refused else 0
        if self._sum is not None:
            return min(self._sum, self.books.suspense)
        return max(0, self.books.suspense - self.books.claimed)

    @property
    def foreign_money(self) -> Money | None:
        """The money of this case in another currency."""
        known = self.unreadable is None and self._sum is None
        about_money = known and CaseDecision.REFUND in self.choices
        return self.books.foreign if self.books and about_money else None

    @property
    def _sum(self) -> int | None:
        """What was booked when the case was opened, in VND; None if that was not known."""
        return None if self.kind in ASSERTED else self.amount

    @property
    def suggestion(self) -> CaseDecision | None:
        """The decision that the books imply; None if they imply none, or the case is resolved."""
        books = self.books
        if books is None or self.status is CaseStatus.RESOLVED or self.unreadable is not None:
            return None
        if self.outcome is not None:
            return self.outcome
        if self.kind in {CaseKind.AMOUNT_MISMATCH, CaseKind.LATE_MONEY}:
            if (
                books.suspense >= books.owed
                and books.bills_open
                and books.status is not PaymentStatus.SUCCESS
            ):
                return CaseDecision.APPLY
        elif self.kind not in {CaseKind.CURRENCY_MISMATCH, CaseKind.PAID_TWICE}:
            return None
        if self.undecided_amount or self.foreign_money:
            return CaseDecision.REFUND
        return CaseDecision.CLOSE if books.status is PaymentStatus.SUCCESS else None

    @property
    def first(self) -> Approval | None:
        """The vote that waits for a second person with the same; None if none does."""
        vote = self._last
        if vote is None or self.decision not in self.choices:
            return None
        return vote if vote.amount is None or self.unreadable is not None else None

    @property
    def _last(self) -> Approval | None:
        """The latest vote for the case's present decision."""
        same = [vote for vote in self.approvals if vote.decision is self.decision]
        return same[-1] if same else None

    def step_of_vote(self, actor: str, wanted: CaseDecision, amount: int | None = None) -> Step:
        """
        Return what a vote of *actor* does; *amount* is the sum that they state, if any.

        Raises InvalidInput if the kind does not allow it or the first person decided otherwise,
        NotPermitted if *actor* requested the reversal, and AlreadyResolved.
        """
        if self.status is CaseStatus.RESOLVED:
            decided = self._last is not None and self._last.matches(wanted, amount)
            agreed = {vote.actor for vote in self.approvals if vote.matches(wanted, amount)}
            if decided and actor in agreed:
                return Step.REPEAT
            raise AlreadyResolved(
                payment_id=self.payment_id, case_id=self.id, decision=self.decision
            )
        if wanted not in self.choices:
            raise _not_a_choice(self)
        if self.kind is CaseKind.APPROVAL:
            if any(approval.actor == actor for approval in self.approvals):
                raise NotPermitted.because(PermissionReason.DECIDES_OWN_REQUEST)
            return Step.SECOND
        first = self.first
        if first is None:
            return Step.FIRST
        if first.matches(wanted, amount):
            return Step.REPEAT if actor == first.actor else Step.SECOND
        ends_at = first.at + VOTE_LIFETIME
        if actor == first.actor or (self.seen_at is not None and self.seen_at >= ends_at):
            return Step.FIRST
        raise _decided_otherwise(first, ends_at)


@dataclass(eq=False, kw_only=True)
class AlreadyResolved(TransitionRefused):
    vi = "Hồ sơ {case_id} đã được giải quyết: {decision}. Hãy tải lại danh sách."
    en = "Case {case_id} is resolved: {decision}. Load the list again."

    case_id: str
    decision: CaseDecision | None


def _not_a_choice(case: Case) -> InvalidInput:
    known = case.outcome is not None
    return InvalidInput.because(
        InputProblem.OUTCOME_IS_KNOWN if known else InputProblem.NOT_A_CHOICE,
        field="decision",
        choices=tuple(decision for decision in CaseDecision if decision in case.choices),
    )


def about_money(number: str | None, unreadable: str | None) -> str | None:
    """Return how `Case.about` names money: by the gateway's number and the sum as written."""
    if number is None or unreadable is None:
        return number or unreadable
    return f"{number} · {unreadable}"


def _decided_otherwise(first: Approval, until: datetime) -> InvalidInput:
    names_a_sum = first.amount is not None
    return InvalidInput.because(
        InputProblem.NAMED_ANOTHER_SUM if names_a_sum else InputProblem.DECIDED_OTHERWISE,
        field="decision",
        actor=first.actor,
        decision=first.decision,
        amount=first.amount,
        until=until,
    )
