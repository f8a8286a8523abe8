"""How VNPay and FPT Pay call, spelt here once more and signed by the tests themselves, and what became of it."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest

from resolvers import webhooks
from tests.support.running_api import Api

VNPAY_SECRET = b"sandbox-vnpay-hash-secret"
FPT_SECRET = b"sandbox-fpt-pay-secret"


def ipn(payment: dict[str, Any], **but: str) -> dict[str, str]:
    number = str(time.time_ns() % 10**8)
    return {
        "vnp_Amount": str(payment["amount"] * 100),
        "vnp_BankCode": "NCB",
        "vnp_OrderInfo": "Thanh toan hop dong",
        "vnp_PayDate": "20260304120000",
        "vnp_ResponseCode": "00",
        "vnp_TmnCode": "MOBINET1",
        "vnp_TransactionNo": number,
        "vnp_TransactionStatus": "00",
        "vnp_TxnRef": payment["gatewayReference"],
    } | but


def signed(fields: dict[str, str], secret: bytes = VNPAY_SECRET) -> str:
    text = "&".join(f"{quote_plus(name)}={quote_plus(fields[name])}" for name in sorted(fields))
    return f"{text}&vnp_SecureHash={hmac.new(secret, text.encode(), hashlib.sha512).hexdigest()}"


def call(api: Api, query: str) -> str:
    answer = api.http.get(f"/webhooks/vnpay?{query}")
    assert answer.status_code == 200
    assert set(answer.json()) == {"RspCode", "Message"}
    return answer.json()["RspCode"]


def state(api: Api, payment: dict[str, Any]) -> tuple[str, str | None]:
    (row,) = api.rows("select status, hold_reason from payment where id = $1", payment["id"])
    return row["status"], row["hold_reason"]


def events(api: Api, reference: str) -> list[Any]:
    return api.rows("select * from webhook_event where reference = $1 order by id", reference)


@pytest.fixture
def qr(api: Api) -> dict[str, Any]:
    return api.paid(method="VNPAY_QR")


def notice(payment: dict[str, Any], **but: Any) -> bytes:
    fields = {
        "event_id": f"EV{time.time_ns()}",
        "payment_id": f"FP{time.time_ns()}",
        "reference": payment["gatewayReference"],
        "status": "paid",
        "amount": payment["amount"],
        "currency": "VND",
        "paid_at": "2026-03-04T12:00:00+07:00",
        "reason": None,
    }
    return json.dumps(fields | but).encode()


def notify(
    api: Api, body: bytes, *, at: int | None = None, secret: bytes = FPT_SECRET, **headers: str
) -> httpx.Response:
    moment = int(time.time()) if at is None else at
    seal = hmac.new(secret, f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    given = {"X-FptPay-Signature": f"t={moment},v1={seal}", "Content-Type": "application/json"}
    return api.http.post("/webhooks/fpt-pay", content=body, headers=given | headers)


@pytest.fixture
def wallet(api: Api) -> dict[str, Any]:
    return api.paid(method="FPT_PAY")


def answer_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def retried(api: Api) -> None:
    """Run the worker's minute: for it, every kept event is old enough."""

    async def later() -> Any:
        return await api.context.clock() + timedelta(minutes=5)

    api.run(webhooks.retry(replace(api.context, clock=later)))


def handled_call(api: Api) -> str:
    """Return the id of a call about a payment that was handled."""
    qr = api.paid(method="VNPAY_QR")
    assert call(api, signed(ipn(qr))) == "00"
    (event,) = events(api, qr["gatewayReference"])
    return event["id"]
