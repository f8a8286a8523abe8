"""Calls of VNPay and FPT Pay about a payment of the API, and their effects."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from resolvers import webhooks
from tests.support.clocks import SetClock
from tests.support.gateways.signing import fpt_pay_signature, vnpay_signed_query
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
    """Return the query of an IPN with its signature."""
    return vnpay_signed_query(fields, secret.decode())


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
    return api.new_payment(method="VNPAY_QR")


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
    sent_at = str(int(time.time()) if at is None else at)
    signature = f"t={sent_at},v1={fpt_pay_signature(secret.decode(), sent_at, body)}"
    signed = {"X-FptPay-Signature": signature, "Content-Type": "application/json"}
    return api.http.post("/webhooks/fpt-pay", content=body, headers=signed | headers)


@pytest.fixture
def wallet(api: Api) -> dict[str, Any]:
    return api.new_payment(method="FPT_PAY")


def answer_of(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["code"]


def retried(api: Api) -> None:
    """Retry the stored events as the worker does, five minutes later."""

    async def later() -> Any:
        return await api.context.clock() + timedelta(minutes=5)

    api.run(webhooks.retry(replace(api.context, clock=SetClock(later))))


def handled_call(api: Api) -> str:
    """Return the id of a handled call."""
    qr = api.new_payment(method="VNPAY_QR")
    assert call(api, signed(ipn(qr))) == "00"
    (event,) = events(api, qr["gatewayReference"])
    return event["id"]
