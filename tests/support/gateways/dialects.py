"""How each gateway speaks, spelled here a second time: what it answers, and what it calls."""

import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote_plus

from domain.attempts import Attempt, AttemptStatus
from domain.gateways import Call, Gateway, Purchase
from domain.ledger import Account
from domain.methods import GatewayName
from domain.money import Currency, Money
from domain.payment_evidence import Evidence
from domain.reversals import Reversal, ReversalKind, ReversalStatus
from integrations.fpt_pay.gateway import FPTPay
from integrations.http.client import Upstream
from integrations.vnpay.gateway import VNPay
from tests.support.gateways.counterpart import Act, Seen, says

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


def asked_in(gateway: GatewayName, amount: int = 200_000) -> Money:
    """Return an amount as this gateway is asked for it: PayPal takes dollars."""
    return Money(amount, Currency.USD if gateway is GatewayName.PAYPAL else Currency.VND)


def attempt(gateway: GatewayName = GatewayName.VNPAY, amount: int = 200_000) -> Attempt:
    return Attempt(
        reference=REFERENCE,
        payment_id="TXN_1",
        gateway=gateway,
        status=AttemptStatus.SENT,
        money=asked_in(gateway, amount),
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
        id=REFUND, payment_id="TXN_1", kind=ReversalKind.REFUND, status=ReversalStatus.PENDING,
        amount=50_000, currency=Currency.VND, source=Account.CUSTOMER_RECEIVABLE, reason="paid twice",
        requested_by="FI001", reference=REFERENCE, gateway=gateway, created_at=NOW, updated_at=NOW,
        sent_at=NOW, share=dollars,
    )  # fmt: skip


async def fail_at_two_orders(gateway: Gateway) -> None:
    """Ask five times for a payment, of two orders: what fails for one alone opens no breaker."""
    other = replace(ORDER, description="Thanh toan hop dong SGFDN2001")
    for purchase in (other, ORDER, ORDER, ORDER, ORDER):
        await gateway.start(attempt(gateway.name), purchase, now=NOW)


def told_by(gateway: Gateway, call: Call) -> Evidence:
    """Return what a call says that tells of one event."""
    (notice,) = gateway.read_webhook(call)
    assert notice.evidence
    return notice.evidence


ALL = ("paid", "pending", "declined", "expired")


class Teller(Protocol):
    """Who calls us: about `reference`, of each of its `outcomes`."""

    name: GatewayName
    gateway_id: str
    reference: str
    outcomes: tuple[str, ...]

    def gateway(self, http: Upstream) -> Gateway: ...
    def calls(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call: ...
    def forges(self, call: Call) -> Call: ...
    def unsigns(self, call: Call) -> Call: ...
    def repeats_a_parameter(self, call: Call) -> Call: ...


class Dialect(Teller, Protocol):
    """Who is also asked."""

    def accepts(self) -> Act: ...
    def declines(self) -> Act: ...
    def tells(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Act: ...
    def knows_nothing(self) -> Act: ...
    def gives_back(self, amount: int) -> Act:
        """The refund REFUND was made, of so much of the currency that it was asked for in."""
        ...

    def gives_nothing_back(self) -> Act: ...


SECRET = "SIMVNPAYSECRET0123456789ABCDEFGH"
TERMINAL = "SIMTMN01"


def vnpay_hash(text: str, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), text.encode(), hashlib.sha512).hexdigest()


def vnpay_query(fields: dict[str, str], secret: str = SECRET) -> str:
    text = "&".join(f"{k}={quote_plus(v)}" for k, v in sorted(fields.items()) if v)
    return f"{text}&vnp_SecureHash={vnpay_hash(text, secret)}"


def vnpay_ipn(fields: dict[str, str], secret: str = SECRET) -> Call:
    return Call(
        method="GET", query=vnpay_query(fields, secret), headers={}, body=b"", received_at=NOW
    )


VNPAY_CODES = {
    "paid": ("00", "00"),
    "declined": ("24", "02"),
    "expired": ("11", "02"),
    "pending": ("00", "01"),
}


@dataclass
class VNPayDialect:
    name = GatewayName.VNPAY
    gateway_id = "15099001"
    reference = REFERENCE
    outcomes = ALL

    def gateway(self, http: Upstream) -> VNPay:
        return VNPay(http, tmn_code=TERMINAL, hash_secrets=[SECRET, "the-old-one"])

    def accepts(self) -> Act:
        return says({"code": "00", "message": "Success", "qrcontent": "00020101021226…"})

    def declines(self) -> Act:
        return says({"code": "02", "message": "Merchant khong hop le", "qrcontent": ""})

    def tells(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Act:
        return says(self.inquiry(outcome, reference=reference, amount=amount))

    def knows_nothing(self) -> Act:
        return says(self.signed(self.heading("91", "Not found", REFERENCE)))

    def inquiry(self, outcome: str, *, reference: str, amount: int, **other: str) -> dict[str, str]:
        status = VNPAY_CODES[outcome][1]
        fields = self.heading("00", "QueryDR Success", reference) | {
            "vnp_Amount": f"{amount}00",
            "vnp_BankCode": "NCB",
            "vnp_PayDate": "20250729101733",
            "vnp_TransactionNo": self.gateway_id if outcome == "paid" else "0",
            "vnp_TransactionType": "01",
            "vnp_TransactionStatus": status,
            "vnp_OrderInfo": "Thanh toan cuoc",
            "vnp_PromotionCode": "",
            "vnp_PromotionAmount": "",
        }
        return self.signed(fields | other)

    def heading(self, code: str, message: str, reference: str) -> dict[str, str]:
        return {
            "vnp_ResponseId": "a1b2c3d4e5",
            "vnp_Command": "querydr",
            "vnp_ResponseCode": code,
            "vnp_Message": message,
            "vnp_TmnCode": TERMINAL,
            "vnp_TxnRef": reference,
        }

    def signed(self, fields: dict[str, str]) -> dict[str, str]:
        names = (
            "ResponseId Command ResponseCode Message TmnCode TxnRef Amount BankCode PayDate"
            " TransactionNo TransactionType TransactionStatus OrderInfo"
        )
        if fields["vnp_Command"] == "querydr":
            names += " PromotionCode PromotionAmount"
        text = "|".join(fields.get(f"vnp_{name}", "") for name in names.split())
        return fields | {"vnp_SecureHash": vnpay_hash(text)}

    def gives_back(self, amount: int) -> Act:
        told = {
            "vnp_Command": "refund",
            "vnp_Amount": f"{amount}00",
            "vnp_BankCode": "NCB",
            "vnp_PayDate": "20250729102001",
            "vnp_TransactionNo": "15099002",
            "vnp_TransactionType": "03",
            "vnp_TransactionStatus": "05",
            "vnp_OrderInfo": "Hoan tien",
        }
        return says(self.signed(self.heading("00", "Refund success", REFERENCE) | told))

    def gives_nothing_back(self) -> Act:
        told = self.heading("95", "Giao dich khong thanh cong", REFERENCE)
        return says(self.signed(told | {"vnp_Command": "refund"}))

    def calls(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call:
        response, status = VNPAY_CODES[outcome]
        return vnpay_ipn(
            {
                "vnp_TmnCode": TERMINAL,
                "vnp_Amount": f"{amount}00",
                "vnp_BankCode": "NCB",
                "vnp_OrderInfo": "Thanh toan cuoc",
                "vnp_TransactionNo": self.gateway_id if outcome == "paid" else "0",
                "vnp_ResponseCode": response,
                "vnp_TransactionStatus": status,
                "vnp_TxnRef": reference,
            }
        )

    def forges(self, call: Call) -> Call:
        return replace(call, query=call.query.replace("vnp_TmnCode=", "vnp_TmnCode=X"))

    def unsigns(self, call: Call) -> Call:
        return replace(call, query=call.query.partition("&vnp_SecureHash")[0])

    def repeats_a_parameter(self, call: Call) -> Call:
        return replace(call, query=f"{call.query}&vnp_Amount=20000000")


WALLET_SECRET = "wallet-secret"


def fpt_pay_call(body: bytes, *, at: datetime = NOW, secret: str = WALLET_SECRET) -> Call:
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    headers = {"x-fptpay-signature": f"t={stamp},v1={digest}", "content-type": "application/json"}
    return Call(method="POST", query="", headers=headers, body=body, received_at=NOW)


@dataclass
class FPTPayDialect:
    name = GatewayName.FPT_PAY
    gateway_id = "FP77"
    reference = REFERENCE
    outcomes = ALL

    def gateway(self, http: Upstream) -> FPTPay:
        return FPTPay(http, secrets=[WALLET_SECRET, "the-old-one"])

    def accepts(self) -> Act:
        told = {
            "payment_id": self.gateway_id,
            "payment_url": "https://pay.fptpay.vn/form/abc",
            "status": "pending",
            "expires_at": "2025-07-29T03:30:00.000Z",
        }
        return says(told, 201)

    def declines(self) -> Act:
        return says({"error": {"code": "WALLET_LOCKED", "message": "Ví bị khoá"}}, 422)

    def told(self, outcome: str, reference: str, amount: Any, **other: Any) -> dict[str, Any]:
        return {
            "reference": reference,
            "payment_id": self.gateway_id,
            "status": outcome,
            "amount": amount,
            "currency": "VND",
            "paid_at": "2025-07-29T03:17:33.000Z" if outcome == "paid" else None,
            "reason": "NO_FUNDS" if outcome == "declined" else None,
        } | other

    def tells(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Act:
        return says(self.told(outcome, reference, amount))

    def knows_nothing(self) -> Act:
        return says({"error": {"code": "NOT_FOUND", "message": "no such payment"}}, 404)

    def gives_back(self, amount: int) -> Act:
        told = {"refund_reference": REFUND, "refund_id": "FPR1", "status": "refunded"}
        return says(told | {"amount": amount}, 201)

    def gives_nothing_back(self) -> Act:
        return says({"error": {"code": "REFUND_EXCEEDS_PAYMENT", "message": "Vượt quá"}}, 422)

    def calls(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call:
        return fpt_pay_call(
            json.dumps(self.told(outcome, reference, amount, event_id="evt_1")).encode()
        )

    def forges(self, call: Call) -> Call:
        return replace(call, body=call.body.replace(b"200000", b"200001"))

    def unsigns(self, call: Call) -> Call:
        return replace(call, headers={})

    def repeats_a_parameter(self, call: Call) -> Call:
        return fpt_pay_call(call.body.replace(b"{", b'{"amount": 1, ', 1))


def seen_reference(seen: Seen) -> str:
    if "vnp_TxnRef" in seen.fields:
        return seen.fields["vnp_TxnRef"]
    if "urlencoded" in seen.headers.get("content-type", ""):
        return dict(parse_qsl(seen.body.decode()))["client_reference_id"]
    if "purchase_units" in seen.json:
        return seen.json["purchase_units"][0]["custom_id"]
    names = ("reference", "orderId")
    return next(seen.json[it] for it in names if it in seen.json)
