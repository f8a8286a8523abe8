"""What the gateways' tests share: a payment, a refund, and what each gateway's dialect offers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import parse_qsl

from domain.attempts import Attempt, AttemptStatus
from domain.gateways import Call, Gateway, Purchase
from domain.ledger import Account
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payment_evidence import Evidence
from domain.reversals import Reversal, ReversalKind, ReversalStatus
from integrations.http.client import Upstream
from tests.support.gateways.counterpart import Act, Seen

NOW = datetime(2025, 7, 29, 3, 20, tzinfo=UTC)
SENT = datetime(2025, 7, 29, 3, 15, tzinfo=UTC)
REFERENCE = "TXN20250729000001"

ORDER = Purchase(
    description="Thanh toán cước Internet 2025-06 HĐ SGFDN1015",
    customer_name="Nguyen Van A",
    customer_phone="0987654321",
    client_ip="203.0.113.10",
    return_url="https://pay.example.vn/vnpay/return",
    notify_url="https://pay.example.vn/webhooks/it",
    staff_token="wallet-token",
)


def requested_money(gateway: GatewayName, amount: int = 200_000) -> Money:
    """Return an amount in the currency of the gateway: PayPal takes dollars."""
    return Money(amount, Currency.USD if gateway is GatewayName.PAYPAL else Currency.VND)


def attempt(gateway: GatewayName = GatewayName.VNPAY, amount: int = 200_000) -> Attempt:
    return Attempt(
        reference=REFERENCE,
        payment_id="TXN_1",
        gateway=gateway,
        status=AttemptStatus.SENT,
        money=requested_money(gateway, amount),
        created_at=SENT,
        sent_at=SENT,
        expires_at=SENT + timedelta(minutes=15),
        gateway_id="5O190127TN364715T" if gateway is GatewayName.PAYPAL else None,
    )


REFUND = "REV_0123456789ABCDEF"


def reversal(gateway: GatewayName = GatewayName.VNPAY) -> Reversal:
    """Return the refund of a part of what was paid under `attempt`."""
    dollars = Money(193, Currency.USD) if gateway is GatewayName.PAYPAL else None
    return Reversal(
        id=REFUND,
        payment_id="TXN_1",
        kind=ReversalKind.REFUND,
        status=ReversalStatus.PENDING,
        amount=50_000,
        currency=Currency.VND,
        source=Account.CUSTOMER_RECEIVABLE,
        reason="paid twice",
        requested_by="FI001",
        reference=REFERENCE,
        gateway=gateway,
        created_at=NOW,
        updated_at=NOW,
        sent_at=NOW,
        share=dollars,
    )


async def start_five_payments(gateway: Gateway) -> None:
    """Start five payments of two orders: their failures open the breaker."""
    other = replace(ORDER, description="Thanh toan hop dong SGFDN2001")
    for purchase in (other, ORDER, ORDER, ORDER, ORDER):
        await gateway.start(attempt(gateway.name), purchase, now=NOW)


def evidence_of_call(gateway: Gateway, call: Call) -> Evidence:
    """Return the evidence of a call that reports one event."""
    (notice,) = gateway.read_webhook(call)
    assert notice.evidence
    return notice.evidence


ALL_OUTCOMES = ("paid", "pending", "declined", "expired")


class Caller(Protocol):
    """A gateway or service that calls us about `reference`, with each of its `outcomes`."""

    name: GatewayName
    gateway_id: str
    reference: str
    outcomes: tuple[str, ...]

    def gateway(self, http: Upstream) -> Gateway: ...
    def call(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call: ...
    def forge(self, call: Call) -> Call: ...
    def remove_signature(self, call: Call) -> Call: ...
    def repeat_parameter(self, call: Call) -> Call: ...


class Dialect(Caller, Protocol):
    """A gateway that also answers our requests."""

    def acceptance(self) -> Act: ...
    def decline(self) -> Act: ...
    def inquiry_answer(
        self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000
    ) -> Act: ...
    def unknown_reference(self) -> Act: ...
    def refund_answer(self, amount: int) -> Act:
        """Answer that the refund REFUND was made, in the currency that was requested."""
        ...

    def refund_decline(self) -> Act: ...


def seen_reference(seen: Seen) -> str:
    """Return our reference in a request of any gateway."""
    if "vnp_TxnRef" in seen.fields:
        return seen.fields["vnp_TxnRef"]
    if "urlencoded" in seen.headers.get("content-type", ""):
        return dict(parse_qsl(seen.body.decode()))["client_reference_id"]
    if "purchase_units" in seen.json:
        return seen.json["purchase_units"][0]["custom_id"]
    return next(seen.json[name] for name in ("reference", "orderId") if name in seen.json)
