"""What every payment gateway must be able to do, and what we keep of its calls."""

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
    What a gateway needs to know beside the attempt. `staff_token` is the wallet's, `card_token` stands
    for the customer's card: both are secret, and never kept.
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
    """What became of a stored webhook event."""

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

    `path` is what follows /webhooks/ in its address: it names the dialect where a gateway has several.
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
    One event that a verified call tells of. `event_id` is the sender's identity of it.

    No `reference`: money came, and nothing says what for. No `evidence`: it says nothing of money
    that came to us, and is kept, no more. `named` is then the reference
    on what it is about: empty on money without any, None where nobody can say.
    """

    event_id: str
    reference: str | None
    evidence: Evidence | None
    named: str | None = None

    @property
    def identity(self) -> str:
        """What repeats share: a sum that cannot be read is a part of it, so that a later exact one is news."""
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
    """The call is not from the gateway, or cannot be read. It touches no payment."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Gateway(Protocol):
    """
    One gateway. Every call is idempotent under `attempt.reference`, which it was given by us.

    `start` and `inquire` never raise for what a gateway does: silence, a 5xx and an unreadable
    answer are Finding.UNKNOWN; only a connection that never opened is Finding.NOT_SENT, and only for
    `start`. While its breaker is open `start` raises GatewayUnavailable before anything is sent;
    `inquire` and webhooks go on.
    """

    @property
    def name(self) -> GatewayName: ...

    @property
    def paths(self) -> tuple[str, ...]:
        """What follows /webhooks/ where it calls us: one address for each dialect, the usual one first."""
        ...

    @property
    def methods(self) -> frozenset[str]:
        """The HTTP methods that it calls us by."""
        ...

    @property
    def revocable(self) -> bool:
        """Whether a reference that was closed here can no longer be paid there."""
        ...

    @property
    def ask_again_after(self) -> float:
        """Seconds that must lie between two inquiries of one reference (VNPay: 300)."""
        ...

    def ready(self) -> bool:
        """Return False while the breaker of `start` is open."""
        ...

    def retry_after_ms(self) -> int | None:
        """Return when the breaker of `start` lets a call through again; None while it does."""
        ...

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence: ...

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence: ...

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        """Verify a call and translate all that it tells of. The same call always reads the same. Raises BadCall."""
        ...

    def answer(self, verdict: Verdict) -> Reply: ...


@runtime_checkable
class Prepares(Protocol):
    """A gateway whose calls can be verified only with something that must be fetched first."""

    async def prepare(self, call: Call) -> None:
        """Fetch it, where the call may name it. Raises what stands in the way: let it call again then."""
        ...


@runtime_checkable
class Closes(Gateway, Protocol):
    """A gateway where what nobody has paid can be closed: the customer no longer can."""

    async def close(self, attempt: Attempt, *, now: datetime) -> Evidence:
        """
        Close what was begun under *attempt*, by the number that it was given.

        UNPAID says that it is closed; else how it stands, since it could not be.
        """
        ...


@runtime_checkable
class Refunds(Gateway, Protocol):
    """A gateway that gives money back. What another has to give back, accounting pays outside of here."""

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        """
        Give back what was paid under *attempt*, or (not `whole`) a part of it.

        PAID says that the gateway pays it out, DECLINED that it definitively does not. Never repeated
        unless the connection never opened. While its breaker is open raises GatewayUnavailable.
        """
        ...

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        """
        Ask what became of a refund. UNPAID says that the gateway knows of none, and never will.

        `known` are the gateway's numbers of the attempt's other refunds.
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
    """Nobody can say whether a payment was paid: nothing else is to be used for it now."""

    vi = "Cổng {gateway} chưa cho biết khách đã thanh toán hay chưa. Hãy thử lại sau ít phút, và chưa thu bằng cách khác."
    en = "{gateway} does not say whether it was paid. Try again in a few minutes, and take no other money for it meanwhile."


@dataclass(eq=False, kw_only=True)
class WalletTokenMissing(GatewayUnavailable):
    vi = "Ví FPT Pay cần đăng nhập lại. Hãy đăng xuất, đăng nhập rồi thử lại."
    en = "The FPT Pay wallet needs a new login. Log out, log in and try again."
