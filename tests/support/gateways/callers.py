"""Each gateway's calls to the API, signed with the sandbox's secrets."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol, cast

import httpx
from cryptography import x509

from domain.gateways import Call
from domain.methods import GatewayName
from integrations.paypal.gateway import PayPal as OurPayPal
from sandbox.paypal.certificates import Signer
from tests.support.gateways import paypal, stripe
from tests.support.gateways.bank import casso_call, casso_transfer, sepay_call, sepay_transfer
from tests.support.gateways.fpt_pay import fpt_pay_call
from tests.support.gateways.momo import CODES, momo_ipn
from tests.support.gateways.vnpay import vnpay_ipn
from tests.support.running_api import Api

_numbers = itertools.count(time.time_ns() % 10**12)


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What a call reports: `amount` is in minor units, `number` is the gateway's number."""

    reference: str
    amount: int
    outcome: str = "paid"
    currency: str | None = None
    number: int
    at: datetime

    @property
    def event(self) -> str:
        return f"{self.number}:{self.outcome}"


def new_notice(reference: str, amount: int, outcome: str = "paid", **but: Any) -> Notice:
    """Return a notice with a new number and the present time."""
    given: dict[str, Any] = {"number": next(_numbers), "at": datetime.now(UTC)}
    return Notice(reference=reference, amount=amount, outcome=outcome, **given | but)


class Caller(Protocol):
    """
    A gateway or service that calls us.

    `fields` returns a call's body, `sign` a signed call; `amount_at` is the amount's path in it.
    """

    method: str
    path: str
    amount_at: tuple[str, ...]

    def fields(self, notice: Notice) -> dict[str, Any]: ...
    def sign(self, fields: dict[str, Any], at: datetime) -> Call: ...


def call_of(caller: Caller, notice: Notice) -> Call:
    return caller.sign(caller.fields(notice), notice.at)


def call_with(caller: Caller, notice: Notice, amount: Any) -> Call:
    """Return a signed call whose amount is written as *amount*."""
    fields = caller.fields(notice)
    *parents, name = caller.amount_at
    parent = fields
    for key in parents:
        parent = parent[key]
    parent[name] = amount
    return caller.sign(fields, notice.at)


def send(api: Api, caller: Caller, call: Call) -> httpx.Response:
    url = f"/webhooks/{caller.path}" + (f"?{call.query}" if call.query else "")
    return api.http.request(call.method, url, content=call.body, headers=dict(call.headers))


class VNPay:
    method, path = "VNPAY_QR", "vnpay"
    amount_at = ("vnp_Amount",)

    def fields(self, notice: Notice) -> dict[str, Any]:
        response, status = {"paid": ("00", "00"), "declined": ("51", "02")}[notice.outcome]
        return {
            "vnp_Amount": f"{notice.amount}00",
            "vnp_BankCode": "NCB",
            "vnp_OrderInfo": "Thanh toan hop dong",
            "vnp_ResponseCode": response,
            "vnp_TmnCode": "MOBINET1",
            "vnp_TransactionNo": str(notice.number),
            "vnp_TransactionStatus": status,
            "vnp_TxnRef": notice.reference,
        }

    def sign(self, fields: dict[str, Any], at: datetime) -> Call:
        return vnpay_ipn(fields, "sandbox-vnpay-hash-secret")


class FPTPay:
    method, path = "FPT_PAY", "fpt-pay"
    amount_at = ("amount",)

    def fields(self, notice: Notice) -> dict[str, Any]:
        return {
            "event_id": notice.event,
            "payment_id": str(notice.number),
            "reference": notice.reference,
            "status": notice.outcome,
            "amount": notice.amount,
            "currency": notice.currency or "VND",
        }

    def sign(self, fields: dict[str, Any], at: datetime) -> Call:
        return fpt_pay_call(json.dumps(fields).encode(), at=at, secret="sandbox-fpt-pay-secret")


class MoMo:
    method, path = "MOMO", "momo"
    amount_at = ("amount",)

    def fields(self, notice: Notice) -> dict[str, Any]:
        return {
            "partnerCode": "MOBINET",
            "orderId": notice.reference,
            "requestId": notice.reference,
            "amount": notice.amount,
            "orderInfo": "Thanh toan",
            "orderType": "momo_wallet",
            "transId": notice.number,
            "resultCode": CODES[notice.outcome],
            "message": "Giao dich.",
            "payType": "qr",
            "responseTime": 1753758000000,
            "extraData": "",
        }

    def sign(self, fields: dict[str, Any], at: datetime) -> Call:
        return momo_ipn(fields, "sandbox-momo-secret-key", "sandbox-momo-access-key")


class Stripe:
    method, path = "CARD", "stripe"
    amount_at = ("data", "object", "amount_total")

    def fields(self, notice: Notice) -> dict[str, Any]:
        kind = {"paid": "completed", "declined": "async_payment_failed"}[notice.outcome]
        session = stripe.session(
            notice.outcome,
            notice.reference,
            amount_total=notice.amount,
            currency=notice.currency or "vnd",
            payment_intent=f"pi_{notice.number}",
        )
        return json.loads(stripe.event(f"checkout.session.{kind}", session, notice.event))

    def sign(self, fields: dict[str, Any], at: datetime) -> Call:
        body = json.dumps(fields).encode()
        return stripe.stripe_call(body, at=at, secret="whsec_sandbox-stripe-secret")


_signer = Signer()


class PayPal:
    method, path = "PAYPAL", "paypal"
    amount_at = ("resource", "amount", "value")
    cert_url = ""

    def fields(self, notice: Notice) -> dict[str, Any]:
        kind = {"paid": "COMPLETED", "declined": "DENIED"}[notice.outcome]
        capture = paypal.capture(kind, notice.reference, notice.amount) | {"id": str(notice.number)}
        if notice.currency:
            capture["amount"]["currency_code"] = notice.currency
        return json.loads(paypal.event(f"PAYMENT.CAPTURE.{kind}", capture, notice.event))

    def sign(self, fields: dict[str, Any], at: datetime) -> Call:
        body, id = json.dumps(fields).encode(), "071f7d20-1584-11e7-abf0-6b62a8a99ac4"
        time = at.isoformat()
        proof = _signer.sign(
            id=id, time=time, webhook_id="SANDBOX-WEBHOOK", body=body, forged=False
        )
        headers = {
            "paypal-transmission-id": id,
            "paypal-transmission-time": time,
            "paypal-transmission-sig": proof,
            "paypal-cert-url": self.cert_url,
            "paypal-auth-algo": "SHA256withRSA",
        }
        return Call(method="POST", query="", headers=headers, body=body, received_at=at)


class Casso:
    method, path = "BANK_TRANSFER", "bank/casso"
    amount_at = ("data", "amount")

    def fields(self, notice: Notice) -> dict[str, Any]:
        transfer = casso_transfer(
            id=notice.number,
            reference=f"FT{notice.number}",
            description=f"MBVCB {notice.reference} CT tu 0011",
            amount=notice.amount,
            accountNumber="MOBINETSANDBOX",
        )
        return {"error": 0, "data": transfer}

    def sign(self, fields: dict[str, Any], at: datetime) -> Call:
        return casso_call(fields, at=at, secret="sandbox-bank-casso-secret")


class Sepay:
    method, path = "BANK_TRANSFER", "bank/sepay"
    amount_at = ("transferAmount",)

    def fields(self, notice: Notice) -> dict[str, Any]:
        return sepay_transfer(
            id=notice.number,
            referenceCode=f"FT{notice.number}",
            content=f"{notice.reference} chuyen tien",
            transferAmount=notice.amount,
            accountNumber="MOBINETSANDBOX",
        )

    def sign(self, fields: dict[str, Any], at: datetime) -> Call:
        return sepay_call(json.dumps(fields).encode(), at=at, secret="sandbox-bank-sepay-secret")


CALLERS: tuple[Caller, ...] = (VNPay(), FPTPay(), MoMo(), Stripe(), PayPal(), Casso(), Sepay())


def trust_paypal_signer(api: Api) -> None:
    """Give the API the certificate of the tests' PayPal signer."""
    PayPal.cert_url = f"http://127.0.0.1:{api.settings.sandbox_port}/v1/notifications/certs/OURS"
    gateway = cast("OurPayPal", api.context.gateways[GatewayName.PAYPAL])
    chain = tuple(x509.load_pem_x509_certificates(_signer.pem))
    gateway._certificates.add(PayPal.cert_url, chain)


def changed(call: Call, old: str, new: str) -> Call:
    """Return a call with one text replaced by another, under the signature of the original."""
    headers = {name: value.replace(old, new) for name, value in call.headers.items()}
    body = call.body.replace(old.encode(), new.encode())
    return replace(call, query=call.query.replace(old, new), headers=headers, body=body)
