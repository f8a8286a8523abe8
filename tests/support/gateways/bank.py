"""The notices of transfers by Casso and SePay, as the tests write them."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.gateways import Call
from domain.methods import GatewayName
from integrations.bank.gateway import BankTransfer
from integrations.http.client import Upstream
from tests.support.gateways.dialects import NOW
from tests.support.gateways.signing import casso_signature, casso_text, sepay_signature

ACCOUNT = "0123499999"
BANK_REFERENCE = "MB01K1ABCDEFGH23456J"
CASSO_SECRET, SEPAY_SECRET = "a-casso-secret", "a-sepay-secret"


def bank() -> BankTransfer:
    return BankTransfer(
        bin="970436",
        account=ACCOUNT,
        account_name="Công ty Viễn thông FPT",
        casso_secrets=[CASSO_SECRET, "the-old-one"],
        sepay_secrets=[SEPAY_SECRET, "the-old-one"],
    )


def casso_call(
    notice: Any, *, at: datetime = NOW, secret: str = CASSO_SECRET, ascii: bool = False
) -> Call:
    """Return a signed call with *notice*, in another notation than the signed one."""
    body = json.dumps(notice, ensure_ascii=False, indent=1).encode()
    return casso_call_of(body, casso_text(notice, ascii=ascii), at=at, secret=secret)


def casso_call_of(
    body: bytes, text: str, *, at: datetime = NOW, secret: str = CASSO_SECRET
) -> Call:
    """Return a call with *body*, in which *text* is signed."""
    sent_at = str(int(at.timestamp() * 1000))
    signature = casso_signature(secret, sent_at, text)
    return Call(
        method="POST",
        query="",
        headers={"x-casso-signature": f"t={sent_at},v1={signature}"},
        body=body,
        received_at=NOW,
        path="bank/casso",
    )


def casso_transfer(**other: Any) -> dict[str, Any]:
    return {
        "id": 218897,
        "reference": "FT24364030863634",
        "description": f"MBVCB.3278907687.{BANK_REFERENCE}.CT tu 0011 NGUYEN VAN A cước",
        "amount": 200_000,
        "runningBalance": 16_775_000,
        "transactionDateTime": "2025-07-29 10:17:33",
        "accountNumber": ACCOUNT,
        "bankName": "Vietcombank",
        "bankAbbreviation": "VCB",
        "virtualAccountNumber": "",
        "virtualAccountName": "",
        "counterAccountName": "NGUYEN VAN A",
        "counterAccountNumber": "0011",
        "counterAccountBankId": "970415",
        "counterAccountBankName": "VietinBank",
    } | other


def sepay_call(body: bytes, *, at: datetime = NOW, secret: str = SEPAY_SECRET) -> Call:
    sent_at = str(int(at.timestamp()))
    signature = sepay_signature(secret, sent_at, body)
    headers = {"x-sepay-timestamp": sent_at, "x-sepay-signature": f"sha256={signature}"}
    return Call(
        method="POST", query="", headers=headers, body=body, received_at=NOW, path="bank/sepay"
    )


def sepay_transfer(**other: Any) -> dict[str, Any]:
    return {
        "id": 92704,
        "gateway": "Vietcombank",
        "transactionDate": "2025-07-29 10:17:33",
        "accountNumber": ACCOUNT,
        "subAccount": None,
        "code": None,
        "content": f"{BANK_REFERENCE.lower()} chuyen tien",
        "transferType": "in",
        "description": "",
        "transferAmount": 200_000,
        "accumulated": 19_077_000,
        "referenceCode": "FT24364030863634",
    } | other


@dataclass
class CassoDialect:
    name = GatewayName.BANK
    gateway_id = "FT24364030863634"
    reference = BANK_REFERENCE
    outcomes = ("paid",)

    def gateway(self, http: Upstream) -> BankTransfer:
        return bank()

    def call(self, outcome: str, *, reference: str = "", amount: int = 200_000) -> Call:
        named = {"description": f"CT tu 0011 {reference}"} if reference else {}
        return casso_call({"error": 0, "data": casso_transfer(amount=amount, **named)})

    def forge(self, call: Call) -> Call:
        return replace(call, body=call.body.replace(b"200000", b"200001"))

    def remove_signature(self, call: Call) -> Call:
        return replace(call, headers={})

    def repeat_parameter(self, call: Call) -> Call:
        return replace(call, body=call.body.replace(b"{", b'{"error": 0, ', 1))


class SepayDialect(CassoDialect):
    def call(self, outcome: str, *, reference: str = "", amount: int = 200_000) -> Call:
        named = {"content": f"{reference} chuyen tien"} if reference else {}
        return sepay_call(json.dumps(sepay_transfer(transferAmount=amount, **named)).encode())

    def repeat_parameter(self, call: Call) -> Call:
        return sepay_call(call.body.replace(b"{", b'{"id": 1, ', 1))
