"""A merchant's requests to VNPay and FPT Pay, for the tests of the sandbox."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx

from tests.support.gateways.signing import (
    vnpay_pipe_text,
    vnpay_signature,
    vnpay_signed_query,
)

SECRET = "sandbox-vnpay-hash-secret"
FPT_SECRET = "sandbox-fpt-pay-secret"
GMT7 = timezone(timedelta(hours=7))

QUERY = [
    "RequestId",
    "Version",
    "Command",
    "TmnCode",
    "TxnRef",
    "TransactionDate",
    "CreateDate",
    "IpAddr",
    "OrderInfo",
]
REFUND = [
    "RequestId",
    "Version",
    "Command",
    "TmnCode",
    "TransactionType",
    "TxnRef",
    "Amount",
    "TransactionNo",
    "TransactionDate",
    "CreateBy",
    "CreateDate",
    "IpAddr",
    "OrderInfo",
]
ANSWER = [
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
]
PROMOTION = ["PromotionCode", "PromotionAmount"]


def digits(after: timedelta = timedelta()) -> str:
    return (datetime.now(GMT7) + after).strftime("%Y%m%d%H%M%S")


def payment(reference: str, **changes: str) -> dict[str, str]:
    fields = {
        "vnp_Version": "2.1.0",
        "vnp_Command": "genqr",
        "vnp_TmnCode": "MOBINET1",
        "vnp_Amount": "20000000",
        "vnp_CreateDate": digits(),
        "vnp_CurrCode": "VND",
        "vnp_IpAddr": "203.0.113.10",
        "vnp_Locale": "vn",
        "vnp_OrderInfo": "Thanh toan cuoc HD SGFDN1015",
        "vnp_OrderType": "other",
        "vnp_ReturnUrl": "https://pay.example.vn/return",
        "vnp_ExpireDate": digits(timedelta(minutes=15)),
        "vnp_TxnRef": reference,
    }
    return fields | {f"vnp_{name}": value for name, value in changes.items()}


def signed_query(fields: dict[str, str], secret: str = SECRET) -> str:
    return vnpay_signed_query(fields, secret)


class VNPay:
    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def send(self, query: str) -> httpx.Response:
        return self.client.get(f"/vnpay/paymentv2/vpcpay.html?{query}")

    def genqr(self, reference: str, **changes: str) -> Any:
        return self.send(signed_query(payment(reference, **changes))).json()

    def api(self, fields: dict[str, Any], names: list[str], secret: str = SECRET) -> Any:
        fields = fields | {
            "vnp_SecureHash": vnpay_signature(secret, vnpay_pipe_text(fields, names))
        }
        response = self.client.post("/vnpay/merchant_webapi/api/transaction", json=fields)
        answer = response.json()
        order = ANSWER if answer["vnp_Command"] == "refund" else ANSWER + PROMOTION
        assert answer["vnp_SecureHash"] == vnpay_signature(SECRET, vnpay_pipe_text(answer, order))
        return answer

    def querydr(self, reference: str, created: str, secret: str = SECRET, **changes: Any) -> Any:
        fields: dict[str, Any] = {
            "vnp_RequestId": uuid.uuid4().hex,
            "vnp_Version": "2.1.0",
            "vnp_Command": "querydr",
            "vnp_TmnCode": "MOBINET1",
            "vnp_TxnRef": reference,
            "vnp_TransactionDate": created,
            "vnp_CreateDate": digits(),
            "vnp_IpAddr": "203.0.113.10",
            "vnp_OrderInfo": "Truy van GD",
        } | {f"vnp_{name}": value for name, value in changes.items()}
        return self.api(fields, QUERY, secret)

    def refund(
        self, reference: str, created: str, amount: int, secret: str = SECRET, **changes: Any
    ) -> Any:
        fields: dict[str, Any] = {
            "vnp_RequestId": uuid.uuid4().hex,
            "vnp_Version": "2.1.0",
            "vnp_Command": "refund",
            "vnp_TmnCode": "MOBINET1",
            "vnp_TransactionType": "03",
            "vnp_TxnRef": reference,
            "vnp_Amount": str(amount * 100),
            "vnp_TransactionNo": "0",
            "vnp_TransactionDate": created,
            "vnp_CreateBy": "NV001",
            "vnp_CreateDate": digits(),
            "vnp_IpAddr": "203.0.113.10",
            "vnp_OrderInfo": "Hoan tien GD",
        } | {f"vnp_{name}": value for name, value in changes.items()}
        return self.api(fields, REFUND, secret)


class FptPay:
    def __init__(self, client: httpx.Client, merchant_url: str) -> None:
        self.client = client
        self.merchant_url = merchant_url

    def token(self, staff_id: str = "NV001") -> str:
        response = self.client.post(
            "/staff/api/staff/authenticate",
            json={"staff_id": staff_id, "password": f"mobinet{staff_id}"},
            headers={"X-Api-Key": "sandbox-staff-key"},
        )
        return response.json()["fpt_pay_token"]

    def body(self, reference: str, /, **changes: Any) -> dict[str, Any]:
        return {
            "amount": 200_000,
            "description": "Payment for contract SGFDN1015",
            "customer_info": {"name": "Nguyen Van A", "phone": "0987654321"},
            "reference": reference,
            "return_url": "https://pay.example.vn/return",
            "notify_url": f"{self.merchant_url}/webhooks/fpt-pay",
        } | changes

    def init(
        self, reference: str, /, token: str | None = None, key: str | None = "", **changes: Any
    ) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token() if token is None else token}"}
        if key is not None:
            headers["Idempotency-Key"] = key or reference
        return self.client.post(
            "/fpt_pay/payment/init", json=self.body(reference, **changes), headers=headers
        )

    def inquire(self, reference: str, secret: str = FPT_SECRET) -> httpx.Response:
        headers = {"Authorization": f"Bearer {secret}"}
        return self.client.get(f"/fpt_pay/payment/{reference}", headers=headers)

    def refund(self, reference: str, refund_reference: str, amount: int) -> httpx.Response:
        headers = {
            "Authorization": f"Bearer {FPT_SECRET}",
            "Idempotency-Key": refund_reference,
        }
        return self.client.post(
            f"/fpt_pay/payment/{reference}/refund",
            json={"refund_reference": refund_reference, "amount": amount},
            headers=headers,
        )
