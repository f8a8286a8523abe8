"""How VNPay answers and calls, as the tests write it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from domain.gateways import Call
from domain.methods import GatewayName
from integrations.http.client import Upstream
from integrations.vnpay.gateway import VNPay
from tests.support.gateways.counterpart import Act, says
from tests.support.gateways.dialects import ALL_OUTCOMES, NOW, REFERENCE
from tests.support.gateways.signing import vnpay_pipe_text, vnpay_signature, vnpay_signed_query

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
    "ResponseId",
    "Command",
    "ResponseCode",
    "Message",
    "TmnCode",
    "TxnRef",
    "Amount",
    "BankCode",
    "PayDate",
    "TransactionNo",
    "TransactionType",
    "TransactionStatus",
    "OrderInfo",
)
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
