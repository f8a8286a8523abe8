"""How each gateway answers and calls, as the tests write it; here VNPay and FPT Pay."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import parse_qsl

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
from tests.support.gateways.signing import (
    fpt_pay_signature,
    vnpay_pipe_text,
    vnpay_signature,
    vnpay_signed_query,
)

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
        id=REFUND, payment_id="TXN_1", kind=ReversalKind.REFUND, status=ReversalStatus.PENDING,
        amount=50_000, currency=Currency.VND, source=Account.CUSTOMER_RECEIVABLE, reason="paid twice",
        requested_by="FI001", reference=REFERENCE, gateway=gateway, created_at=NOW, updated_at=NOW,
        sent_at=NOW, share=dollars,
    )  # fmt: skip


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


SECRET = "SIMVNPAYSECRET0123456789ABCDEFGH"
TERMINAL = "SIMTMN01"


def vnpay_ipn(fields: dict[str, str], secret: str = SECRET) -> Call:
    query = vnpay_signed_query(fields, secret)
    return Call(method="GET", query=query, headers={}, body=b"", received_at=NOW)


VNPAY_CODES = {
    "paid": ("00", "00"),
    "declined": ("24", "02"),
    "expired": ("11", "02"),
    "pending": ("00", "01"),
}
VNPAY_ANSWER = (
    "ResponseId", "Command", "ResponseCode", "Message", "TmnCode", "TxnRef", "Amount", "BankCode",
    "PayDate", "TransactionNo", "TransactionType", "TransactionStatus", "OrderInfo",
)  # fmt: skip
VNPAY_PROMOTION = ("PromotionCode", "PromotionAmount")


@dataclass
class VNPayDialect:
    name = GatewayName.VNPAY
    gateway_id = "15099001"
    reference = REFERENCE
    outcomes = ALL_OUTCOMES

    def gateway(self, http: Upstream) -> VNPay:
        return VNPay(http, tmn_code=TERMINAL, hash_secrets=[SECRET, "the-old-one"])

    def acceptance(self) -> Act:
        return says({"code": "00", "message": "Success", "qrcontent": "00020101021226…"})

    def decline(self) -> Act:
        return says({"code": "02", "message": "Merchant khong hop le", "qrcontent": ""})

    def inquiry_answer(
        self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000
    ) -> Act:
        return says(self.inquiry_fields(outcome, reference=reference, amount=amount))

    def unknown_reference(self) -> Act:
        return says(self.signed(self.heading("91", "Not found", REFERENCE)))

    def inquiry_fields(
        self, outcome: str, *, reference: str, amount: int, **other: str
    ) -> dict[str, str]:
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
        promotion = VNPAY_PROMOTION if fields["vnp_Command"] == "querydr" else ()
        text = vnpay_pipe_text(fields, VNPAY_ANSWER + promotion)
        return fields | {"vnp_SecureHash": vnpay_signature(SECRET, text)}

    def refund_answer(self, amount: int) -> Act:
        refund = {
            "vnp_Command": "refund",
            "vnp_Amount": f"{amount}00",
            "vnp_BankCode": "NCB",
            "vnp_PayDate": "20250729102001",
            "vnp_TransactionNo": "15099002",
            "vnp_TransactionType": "03",
            "vnp_TransactionStatus": "05",
            "vnp_OrderInfo": "Hoan tien",
        }
        return says(self.signed(self.heading("00", "Refund success", REFERENCE) | refund))

    def refund_decline(self) -> Act:
        fields = self.heading("95", "Giao dich khong thanh cong", REFERENCE)
        return says(self.signed(fields | {"vnp_Command": "refund"}))

    def call(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call:
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

    def forge(self, call: Call) -> Call:
        return replace(call, query=call.query.replace("vnp_TmnCode=", "vnp_TmnCode=X"))

    def remove_signature(self, call: Call) -> Call:
        return replace(call, query=call.query.partition("&vnp_SecureHash")[0])

    def repeat_parameter(self, call: Call) -> Call:
        return replace(call, query=f"{call.query}&vnp_Amount=20000000")


WALLET_SECRET = "wallet-secret"


def fpt_pay_call(body: bytes, *, at: datetime = NOW, secret: str = WALLET_SECRET) -> Call:
    sent_at = str(int(at.timestamp()))
    signature = fpt_pay_signature(secret, sent_at, body)
    headers = {
        "x-fptpay-signature": f"t={sent_at},v1={signature}",
        "content-type": "application/json",
    }
    return Call(method="POST", query="", headers=headers, body=body, received_at=NOW)


@dataclass
class FPTPayDialect:
    name = GatewayName.FPT_PAY
    gateway_id = "FP77"
    reference = REFERENCE
    outcomes = ALL_OUTCOMES

    def gateway(self, http: Upstream) -> FPTPay:
        return FPTPay(http, secrets=[WALLET_SECRET, "the-old-one"])

    def acceptance(self) -> Act:
        response = {
            "payment_id": self.gateway_id,
            "payment_url": "https://pay.fptpay.vn/form/abc",
            "status": "pending",
            "expires_at": "2025-07-29T03:30:00.000Z",
        }
        return says(response, 201)

    def decline(self) -> Act:
        return says({"error": {"code": "WALLET_LOCKED", "message": "Ví bị khoá"}}, 422)

    def payment(self, outcome: str, reference: str, amount: Any, **other: Any) -> dict[str, Any]:
        """Return the body of an inquiry's answer or a notification."""
        return {
            "reference": reference,
            "payment_id": self.gateway_id,
            "status": outcome,
            "amount": amount,
            "currency": "VND",
            "paid_at": "2025-07-29T03:17:33.000Z" if outcome == "paid" else None,
            "reason": "NO_FUNDS" if outcome == "declined" else None,
        } | other

    def inquiry_answer(
        self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000
    ) -> Act:
        return says(self.payment(outcome, reference, amount))

    def unknown_reference(self) -> Act:
        return says({"error": {"code": "NOT_FOUND", "message": "no such payment"}}, 404)

    def refund_answer(self, amount: int) -> Act:
        refund = {"refund_reference": REFUND, "refund_id": "FPR1", "status": "refunded"}
        return says(refund | {"amount": amount}, 201)

    def refund_decline(self) -> Act:
        return says({"error": {"code": "REFUND_EXCEEDS_PAYMENT", "message": "Vượt quá"}}, 422)

    def call(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call:
        payment = self.payment(outcome, reference, amount, event_id="evt_1")
        return fpt_pay_call(json.dumps(payment).encode())

    def forge(self, call: Call) -> Call:
        return replace(call, body=call.body.replace(b"200000", b"200001"))

    def remove_signature(self, call: Call) -> Call:
        return replace(call, headers={})

    def repeat_parameter(self, call: Call) -> Call:
        return fpt_pay_call(call.body.replace(b"{", b'{"amount": 1, ', 1))


def seen_reference(seen: Seen) -> str:
    """Return our reference in a request of any gateway."""
    if "vnp_TxnRef" in seen.fields:
        return seen.fields["vnp_TxnRef"]
    if "urlencoded" in seen.headers.get("content-type", ""):
        return dict(parse_qsl(seen.body.decode()))["client_reference_id"]
    if "purchase_units" in seen.json:
        return seen.json["purchase_units"][0]["custom_id"]
    return next(seen.json[name] for name in ("reference", "orderId") if name in seen.json)
