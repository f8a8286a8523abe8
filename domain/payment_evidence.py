"""
Evidence: what a source outside says about a payment, and the decision that follows.

A gateway's answer, its webhook, an inquiry, a settlement line and a decision of two people all
become Evidence. `domain.payment_decisions.decide` is pure; `resolvers.payment_evidence.apply` locks
the rows and writes the decision.
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
    """Who reports it. A CLIENT never moves money; it can only cause an inquiry."""

    CLIENT = "CLIENT"  # a client's claim, or the browser that came back
    WEBHOOK = "WEBHOOK"  # a verified webhook
    INQUIRY = "INQUIRY"  # an authenticated answer to our inquiry
    SETTLEMENT = "SETTLEMENT"  # a settlement line
    FOUR_EYES = "FOUR_EYES"  # two people, with a reason


class GatewayResult(StrEnum):
    """What a gateway says. UNKNOWN to GAVE_UP are our own, about calls without a usable answer."""

    ACCEPTED = "ACCEPTED"  # the gateway has the request; the customer may pay
    PAID = "PAID"
    UNPAID = "UNPAID"  # not paid so far
    DECLINED = "DECLINED"  # definitely not paid
    EXPIRED = "EXPIRED"  # the gateway takes no payment of it any more
    SUSPICIOUS = "SUSPICIOUS"  # money may have left the customer without reaching us
    UNKNOWN = "UNKNOWN"  # no answer, a 5xx, or an unreadable answer
    NOT_CONNECTED = "NOT_CONNECTED"  # no connection opened, so the gateway has nothing
    NOT_STARTED = "NOT_STARTED"  # nothing was sent; valid only while the attempt is CREATED
    GAVE_UP = "GAVE_UP"  # every inquiry of the schedule went without an answer
    DECIDED = "DECIDED"  # two people decided a case


_OURS = frozenset(
    {
        GatewayResult.ACCEPTED,  # a bank QR is made here, without a call
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
    One statement about a payment. `source` is None if it is our own.

    `origin` names the channel (`vnpay:ipn`), `event_id` the stored event. `unreadable` is the sum
    as the gateway wrote it if no `money` can be parsed from it. `decided` is the decision of two
    people about a case, and `money` then the sum that both named.
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
        assert not ours or self.result in _OURS, "only a source outside says that money moved"
        decided = self.result is GatewayResult.DECIDED
        assert decided is (self.decided is not None), "`decided` goes with the result DECIDED"
        assert self.source is EvidenceSource.FOUR_EYES or not decided, "only two people decide"
        read = self.unreadable is None
        assert read or (self.result is GatewayResult.PAID and self.money is None), (
            "an unreadable sum goes with PAID and without money"
        )


class Closing(StrEnum):
    """How an unpaid payment is to end."""

    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"


class Effect(StrEnum):
    """What a decision does to the payment's bills, its limit reservation and its jobs."""

    NONE = "NONE"
    COLLECT = "COLLECT"  # use the reservation, pay the bills, enqueue the record and the message
    COLLECT_LATE = "COLLECT_LATE"  # the same, for bills and limits that were released before
    RELEASE = "RELEASE"  # free the bills and the reservation
    RECORD = "RECORD"  # send the record to Revenue again


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund that two people decided: `money` from the account `source`."""

    source: Account
    money: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """
    What to write. `changed` is False for duplicate or stale evidence, which is only counted.

    `attempt` is None for cash. `inquire` starts an inquiry. `verdict` answers the gateway whose
    webhook carried the evidence.
    """

    payment: Payment
    attempt: Attempt | None
    changed: bool = True
    effect: Effect = Effect.NONE
    postings: tuple[Posting, ...] = ()
    case: CaseKind | None = None
    refund: Refund | None = None
    inquire: bool = False
    verdict: Verdict = field(default=Verdict.ACCEPTED, compare=False)

    @property
    def after(self) -> Payment:
        """The payment after the decision, with its attempt."""
        return replace(self.payment, attempt=self.attempt)
