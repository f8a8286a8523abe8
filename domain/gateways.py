"""What every payment gateway must be able to do, and what is stored of its calls."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from domain.attempts import Attempt
from domain.methods import GatewayName, PaymentMethod
from domain.payment_evidence import Evidence
from domain.refusals import Refusal, RefusalCode
from domain.reversals import Reversal
from domain.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """
    What a gateway needs for `start` besides the attempt.

    `staff_token` opens the collector's wallet and `card_token` stands for the customer's card. Both
    are secret and are never stored.
    """

    description: str
    customer_name: str
    customer_phone: str | None
    client_ip: str
    return_url: str
    notify_url: str
    staff_token: str | None = None
    card_token: str | None = None

    def __repr__(self) -> str:
        return f"Purchase(description={self.description!r})"


class WebhookOutcome(StrEnum):
    """How a stored webhook event ended."""

    RECEIVED = "RECEIVED"
    HANDLED = "HANDLED"
    DUPLICATE = "DUPLICATE"
    STALE = "STALE"
    UNMATCHED = "UNMATCHED"
    FOREIGN = "FOREIGN"  # another program's, on an account that it shares with us
    BAD_SIGNATURE = "BAD_SIGNATURE"
    DEAD = "DEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    A gateway's HTTP call, as it came: `query` is the raw query string, `body` the raw bytes.

    `path` is the part of its address after /webhooks/; it names the dialect of a gateway with
    several.
    """

    method: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """
    One event that a verified call reports. `event_id` is the sender's identity of it.

    Without a `reference`, money came and the call names no payment. Without `evidence`, the
    event reports no money that came to us and is only stored; `named` is then the reference of its
    subject: empty if the subject has none, None if it is not known. `also_named` are further
    references, which stand in other places where we write ours.

    A `problem` says why the event cannot be read: unless all that is named is another program's,
    the call is refused for it.
    """

    event_id: str
    reference: str | None
    evidence: Evidence | None
    named: str | None = None
    also_named: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def identity(self) -> str:
        """The id that repeats share. It contains an unreadable sum, so a later exact sum is new."""
        text = self.evidence.unreadable if self.evidence else None
        if text is None:
            return self.event_id
        return f"{self.event_id}:{hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The HTTP answer to a gateway's call."""

    status: int
    body: bytes
    content_type: str = "application/json"


class BadCall(Exception):
    """The call does not verify or cannot be parsed. It changes no payment."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gateway(Protocol):
    """
    One gateway. Our `attempt.reference` is the idempotency key of every call.

    `start` and `inquire` never raise for what a gateway does: a timeout, a 5xx and an unreadable
    answer are GatewayResult.UNKNOWN. NOT_CONNECTED is only for `start` whose connection never
    opened. While its breaker is open, `start` raises GatewayUnavailable before anything is sent;
    `inquire` and webhooks still work.
    """

    @property
    def name(self) -> GatewayName: ...

    @property
    def paths(self) -> tuple[str, ...]:
        """Its webhook paths after /webhooks/, one for each dialect, the main one first."""
        ...

    @property
    def methods(self) -> frozenset[str]:
        """The HTTP methods of its calls."""
        ...

    @property
    def revocable(self) -> bool:
        """Whether a payment that ended here can no longer be paid at the gateway."""
        ...

    @property
    def inquiry_interval(self) -> float:
        """The least seconds between two inquiries about one reference (VNPay: 300)."""
        ...

    def ready(self) -> bool:
        """Return False while the breaker of `start` is open."""
        ...

    def retry_after_ms(self) -> int | None:
        """Return the time until the breaker of `start` allows a call; None if it does now."""
        ...

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence: ...

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence: ...

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        """Verify a call and return all its events; the same call gives the same. Raises BadCall."""
        ...

    def answer(self, verdict: Verdict) -> Reply:
        """Return the HTTP answer that the gateway expects for *verdict*."""
        ...


@runtime_checkable
class PreparingGateway(Protocol):
    """A gateway whose calls are verified with something that is fetched first, as a certificate."""

    async def prepare(self, call: Call) -> None:
        """Fetch what verifies *call*. Raises if that fails; the gateway then calls again."""
        ...


@runtime_checkable
class ClosingGateway(Gateway, Protocol):
    """A gateway where an unpaid payment can be closed, so that it can no longer be paid."""

    async def close(self, attempt: Attempt, *, now: datetime) -> Evidence:
        """
        Close the gateway's payment of *attempt*, by the gateway's number.

        UNPAID means closed; any other result is how it stands, because it could not be closed.
        """
        ...


@runtime_checkable
class RefundingGateway(Gateway, Protocol):
    """A gateway that pays refunds. Accounting pays the refunds of every other gateway by itself."""

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        """
        Refund what was paid under *attempt*, all of it if `whole`, else a part.

        PAID means that the gateway pays it out, DECLINED that it definitely does not. It is
        repeated only if the connection never opened. Raises GatewayUnavailable while its breaker
        is open.
        """
        ...

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """
        Return how a refund stands. UNPAID means that the gateway has none and never will.

        `known` holds the gateway's numbers of the attempt's other refunds.
        """
        ...


@dataclass(eq=False, kw_only=True)
class GatewayUnavailable(Refusal):
    code = RefusalCode.GATEWAY_UNAVAILABLE
    vi = "Cổng {gateway} đang gián đoạn. Hãy dùng: {alternatives}."
    en = "{gateway} is not available. Use instead: {alternatives}."

    gateway: GatewayName
    retry_after_ms: int | None = None
    alternatives: tuple[PaymentMethod, ...] = ()


@dataclass(eq=False, kw_only=True)
class GatewaySilent(GatewayUnavailable):
    """The payment may be paid, so no other method may be used for it now."""

    vi = (
        "Cổng {gateway} chưa cho biết khách đã thanh toán hay chưa. Hãy thử lại sau ít phút, và"
        " chưa thu bằng cách khác."
    )
    en = (
        "{gateway} does not say whether it was paid. Try again in a few minutes, and take no other"
        " money for it meanwhile."
    )


@dataclass(eq=False, kw_only=True)
class WalletTokenMissing(GatewayUnavailable):
    vi = "Ví FPT Pay cần đăng nhập lại. Hãy đăng xuất, đăng nhập rồi thử lại."
    en = "The FPT Pay wallet needs a new login. Log out, log in and try again."
