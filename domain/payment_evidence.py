"""
What is said about money from outside, and what can be made of it.

Whatever a gateway answers, calls or is asked, a settlement line and two people: all become
Evidence and meet `domain.payment_decisions.decide`, which is pure; `resolvers.payment_evidence.apply` locks, asks,
and writes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from domain.attempts import Attempt, Failure
from domain.cases import CaseDecision, CaseKind
from domain.ledger import Account, Posting
from domain.money import Money
from domain.payments import Payment
from domain.verdicts import Verdict


class EvidenceSource(StrEnum):
    """Who says something about a payment. A CLIENT never moves money; it can only cause an inquiry."""

    CLIENT = "CLIENT"  # a client's claim, a browser's return
    WEBHOOK = "WEBHOOK"  # a verified webhook
    INQUIRY = "INQUIRY"  # an authenticated reply to our own question
    SETTLEMENT = "SETTLEMENT"  # a settlement line
    FOUR_EYES = "FOUR_EYES"  # two people, with a reason


class GatewayResult(StrEnum):
    """What was said. Those from UNKNOWN to NO_ANSWER are ours, about a call that failed or was never made."""

    ACCEPTED = "ACCEPTED"  # the gateway took the request; the customer may pay
    PAID = "PAID"
    UNPAID = "UNPAID"  # not so far
    DECLINED = "DECLINED"  # definitively not
    EXPIRED = "EXPIRED"  # the gateway will take it no more
    SUSPICIOUS = "SUSPICIOUS"  # money may have left the customer, and may not be ours
    UNKNOWN = "UNKNOWN"  # silence, or nothing that can be read
    NOT_CONNECTED = "NOT_CONNECTED"  # no connection was opened: the gateway knows nothing
    NOT_STARTED = "NOT_STARTED"  # we did not even begin to; true only while the attempt is CREATED
    GAVE_UP = "GAVE_UP"  # we asked for as long as the table says, and nobody ever said
    DECIDED = "DECIDED"  # two people, of a case


_OURS = frozenset(
    {
        GatewayResult.ACCEPTED,  # what we ask of nobody, a bank's QR, we accept ourselves
        GatewayResult.UNKNOWN,
        GatewayResult.NOT_CONNECTED,
        GatewayResult.NOT_STARTED,
        GatewayResult.GAVE_UP,
        GatewayResult.UNPAID,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """
    `source` says where it comes from (`vnpay:ipn`), `event_id` which stored event carries it.
    `unreadable` is the sum of a payment as its gateway wrote it, where no `money` can be made of it.
    `decided` is what two people decided of a payment's case, and `money` the sum that both of them named.
    """

    source: EvidenceSource | None
    origin: str
    result: GatewayResult
    money: Money | None = None
    gateway_id: str | None = None
    failure: Failure | None = None
    payment_url: str | None = None
    qr_payload: str | None = None
    event_id: str | None = None
    decided: CaseDecision | None = None
    unreadable: str | None = None

    def __post_init__(self) -> None:
        ours = self.source is None
        assert not ours or self.result in _OURS, "only somebody else can say that money moved"
        decided = self.result is GatewayResult.DECIDED
        assert decided is (self.decided is not None), "a decision says what was decided"
        assert self.source is EvidenceSource.FOUR_EYES or not decided, "only two people decide"
        read = self.unreadable is None
        assert read or (self.result is GatewayResult.PAID and self.money is None), "it has no sum"


class Closing(StrEnum):
    """Why an unpaid payment is to end."""

    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class Effect(StrEnum):
    """What a decision does to the payment's bills, reservation and followers."""

    NONE = "NONE"
    COLLECT = "COLLECT"  # reservation → used, bills paid, Revenue and the customer are told
    COLLECT_LATE = "COLLECT_LATE"  # the same for bills and limits that were released before
    RELEASE = "RELEASE"  # bills and reservation are free again
    RECORD = "RECORD"  # Revenue is asked once more to record the success


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """What two people give back: `money` that stands on `source`."""

    source: Account
    money: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What to write. `changed` is False for a duplicate or stale saying: it is counted, no more.

    `attempt` is None for cash, which no gateway says anything about. `verdict` is the answer to the
    gateway whose webhook carried the evidence.
    """

    payment: Payment
    attempt: Attempt | None
    changed: bool = True
    effect: Effect = Effect.NONE
    postings: tuple[Posting, ...] = ()
    case: CaseKind | None = None
    refund: Refund | None = None
    ask: bool = False
    verdict: Verdict = field(default=Verdict.ACCEPTED, compare=False)

    @property
    def after(self) -> Payment:
        """The payment with its attempt, as they are from now on."""
        return replace(self.payment, attempt=self.attempt)
