"""How PayPal answers and calls, as the tests write it; a test authority certifies the signer."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from domain.gateways import Call
from domain.methods import GatewayName
from integrations.http.client import Upstream
from integrations.paypal.certificates import Certificates
from integrations.paypal.gateway import PayPal
from tests.support.gateways.counterpart import Act, says
from tests.support.gateways.dialects import ALL_OUTCOMES, NOW, REFERENCE, REFUND
from tests.support.gateways.signing import paypal_signature

WEBHOOK_ID = "96605875FF6516633"
CERT_URL = "https://api.paypal.com/v1/notifications/certs/CERT-1"
SIGNER = "messageverificationcerts.paypal.com"
ORDER_ID, CAPTURE_ID = "5O190127TN364715T", "3C679366HH908993F"
REFUND_ID = "1JU08902781691411"
PAGE = f"https://www.paypal.com/checkoutnow?token={ORDER_ID}"


@cache
def signed_by(name: str = SIGNER, authority: str = "trusted") -> tuple[rsa.RSAPrivateKey, bytes]:
    """Return a key and its certificate for *name*, signed by a test authority."""
    key = rsa.generate_private_key(65537, 2048)
    issuer, issuer_key = authority_of(authority)
    certificate = (
        _certificate(name, issuer.subject, key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM)


@cache
def authority_of(name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    key_id = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _certificate(name, None, key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(key_id, critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _certificate(name: str, issuer: x509.Name | None, key: Any) -> x509.CertificateBuilder:
    """Return a certificate that is valid for 30 days around NOW."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer or subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=30))
        .not_valid_after(NOW + timedelta(days=30))
    )


def paypal_call(
    body: bytes,
    *,
    at: datetime = NOW,
    webhook_id: str = WEBHOOK_ID,
    key: rsa.RSAPrivateKey | None = None,
    **other: str,
) -> Call:
    key = key or signed_by()[0]
    id, time = "071f7d20-1584-11e7-abf0-6b62a8a99ac4", at.isoformat().replace("+00:00", "Z")
    headers = {
        "paypal-transmission-id": id,
        "paypal-transmission-time": time,
        "paypal-transmission-sig": paypal_signature(key, id, time, webhook_id, body),
        "paypal-cert-url": CERT_URL,
        "paypal-auth-algo": "SHA256withRSA",
    }
    return Call(method="POST", query="", headers=headers | other, body=body, received_at=NOW)


def dollars(amount: int) -> dict[str, str]:
    return {"currency_code": "USD", "value": f"{amount // 100}.{amount % 100:02}"}


def capture(
    status: str = "COMPLETED", reference: str = REFERENCE, amount: int = 200_000
) -> dict[str, Any]:
    return {
        "id": CAPTURE_ID,
        "status": status,
        "amount": dollars(amount),
        "custom_id": reference,
        "invoice_id": reference,
    }


def order(
    status: str = "CREATED", reference: str = REFERENCE, *captures: dict[str, Any], **other: Any
) -> dict[str, Any]:
    unit: dict[str, Any] = {"reference_id": reference, "custom_id": reference}
    unit["amount"] = dollars(200_000)
    if captures:
        unit["payments"] = {"captures": list(captures)}
    return {
        "id": ORDER_ID,
        "status": status,
        "purchase_units": [unit],
        "links": [{"rel": "payer-action", "href": PAGE, "method": "GET"}],
    } | other


def refund(status: str = "COMPLETED", amount: int = 193, **other: Any) -> dict[str, Any]:
    names = {"custom_id": REFUND, "invoice_id": REFUND}
    fields = {"id": REFUND_ID, "status": status, "amount": dollars(amount)}
    return fields | names | other


def event(type: str, about: dict[str, Any], id: str = "WH-1") -> bytes:
    return json.dumps({"id": id, "event_type": type, "resource": about}).encode()


def problem(name: str, issue: str, status: int) -> Act:
    return says({"name": name, "details": [{"issue": issue}], "debug_id": "1"}, status)


async def bearer() -> str:
    return "Bearer A21AA"


def certificates(http: Upstream, host: str = "paypal.com") -> Certificates:
    """Return the verifier with the signer's certificate, as after the signer's first call."""
    authority = authority_of("trusted")[0].public_bytes(serialization.Encoding.PEM)
    certificates = Certificates(http, host=host, authorities=authority)
    certificates.add(CERT_URL, tuple(x509.load_pem_x509_certificates(signed_by()[1])))
    return certificates


@dataclass
class PayPalDialect:
    name = GatewayName.PAYPAL
    gateway_id = CAPTURE_ID
    reference = REFERENCE
    outcomes = ALL_OUTCOMES

    def gateway(self, http: Upstream) -> PayPal:
        return PayPal(
            http,
            bearer=bearer,
            on_token_refused=lambda: None,
            webhook_id=WEBHOOK_ID,
            certificates=certificates(http),
        )

    def acceptance(self) -> Act:
        return says(order("PAYER_ACTION_REQUIRED"), 201)

    def decline(self) -> Act:
        return problem("UNPROCESSABLE_ENTITY", "PAYEE_ACCOUNT_RESTRICTED", 422)

    def inquiry_answer(
        self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000
    ) -> Act:
        if outcome == "pending":
            return says(order("CREATED", reference))
        status = "COMPLETED" if outcome == "paid" else "DECLINED"
        return says(order("COMPLETED", reference, capture(status, reference, amount)))

    def unknown_reference(self) -> Act:
        return problem("RESOURCE_NOT_FOUND", "INVALID_RESOURCE_ID", 404)

    def refund_answer(self, amount: int) -> Act:
        return says(refund(amount=amount), 201)

    def refund_decline(self) -> Act:
        return problem("UNPROCESSABLE_ENTITY", "CAPTURE_FULLY_REFUNDED", 422)

    def call(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call:
        if outcome == "expired":
            about = order("VOIDED", reference) | {"order_id": ORDER_ID}
            return paypal_call(event("CHECKOUT.PAYMENT-APPROVAL.REVERSED", about))
        kind = {"paid": "COMPLETED", "declined": "DENIED", "pending": "PENDING"}[outcome]
        about = capture(kind, reference, amount)
        return paypal_call(event(f"PAYMENT.CAPTURE.{kind}", about))

    def forge(self, call: Call) -> Call:
        return replace(call, body=call.body.replace(b"2000.00", b"2000.01"))

    def remove_signature(self, call: Call) -> Call:
        return replace(call, headers={})

    def repeat_parameter(self, call: Call) -> Call:
        return paypal_call(call.body.replace(b"{", b'{"id": "WH-2", ', 1))
