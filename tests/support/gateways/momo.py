"""How MoMo answers and calls, as the tests write it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from domain.gateways import Call
from domain.methods import GatewayName
from integrations.http.client import Upstream
from integrations.momo.gateway import MoMo
from tests.support.gateways import signing
from tests.support.gateways.counterpart import Act, says
from tests.support.gateways.dialects import ALL_OUTCOMES, NOW, REFERENCE, REFUND

PARTNER, ACCESS_KEY, SECRET_KEY = "MOMOTEST", "an-access-key", "a-momo-key"
CODES = {"pending": 1000, "paid": 0, "declined": 1006, "expired": 1005}


def momo_signature(
    fields: dict[str, Any], key: str = SECRET_KEY, access_key: str = ACCESS_KEY
) -> str:
    """Return the signature of a request or call; unsigned fields are left out."""
    signed = {name: value for name, value in fields.items() if name not in {"signature", "lang"}}
    return signing.momo_signature(key, signed, access_key)


def momo_ipn(fields: dict[str, Any], key: str = SECRET_KEY, access_key: str = ACCESS_KEY) -> Call:
    signature = momo_signature(fields, key, access_key)
    body = json.dumps(fields | {"signature": signature}, ensure_ascii=False)
    headers = {"content-type": "application/json"}
    return Call(method="POST", query="", headers=headers, body=body.encode(), received_at=NOW)


@dataclass
class MoMoDialect:
    name = GatewayName.MOMO
    gateway_id = "4088878653"
    reference = REFERENCE
    outcomes = ALL_OUTCOMES

    def gateway(self, http: Upstream) -> MoMo:
        return MoMo(
            http,
            partner_code=PARTNER,
            access_key=ACCESS_KEY,
            secret_keys=[SECRET_KEY, "the-old-one"],
        )

    def heading(self, code: int, reference: str = REFERENCE) -> dict[str, Any]:
        return {
            "partnerCode": PARTNER,
            "requestId": reference,
            "orderId": reference,
            "responseTime": 1753758000000,
            "resultCode": code,
            "message": "Successful." if code == 0 else "Something else.",
        }

    def acceptance(self) -> Act:
        page = {"payUrl": "https://test-payment.momo.vn/v2/pay?t=abc", "qrCodeUrl": "momo://app?1"}
        return says(self.heading(0) | {"amount": 200_000} | page)

    def decline(self) -> Act:
        return says(self.heading(22), 400)

    def inquiry_answer(
        self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000
    ) -> Act:
        return self.code_answer(CODES[outcome], reference=reference, amount=amount)

    def code_answer(self, code: int, *, reference: str = REFERENCE, amount: Any = 200_000) -> Act:
        payment = {"amount": amount, "transId": int(self.gateway_id), "refundTrans": []}
        return says(self.heading(code, reference) | payment)

    def unknown_reference(self) -> Act:
        return says(self.heading(42), 400)

    def refund_answer(self, amount: int) -> Act:
        return says(self.heading(0, REFUND) | {"amount": amount, "transId": 4088878699})

    def refund_decline(self) -> Act:
        return says(self.heading(1088, REFUND), 400)

    def event(self, code: int, **other: Any) -> dict[str, Any]:
        return {
            "partnerCode": PARTNER,
            "orderId": REFERENCE,
            "requestId": REFERENCE,
            "amount": 200_000,
            "orderInfo": "Thanh toán cước",
            "orderType": "momo_wallet",
            "transId": int(self.gateway_id),
            "resultCode": code,
            "message": "Giao dịch.",
            "payType": "qr",
            "responseTime": 1753758000000,
            "extraData": "",
        } | other

    def call(self, outcome: str, *, reference: str = REFERENCE, amount: int = 200_000) -> Call:
        return momo_ipn(self.event(CODES[outcome], orderId=reference, amount=amount))

    def forge(self, call: Call) -> Call:
        return replace(call, body=call.body.replace(b"200000", b"200001"))

    def remove_signature(self, call: Call) -> Call:
        fields = json.loads(call.body)
        del fields["signature"]
        return replace(call, body=json.dumps(fields).encode())

    def repeat_parameter(self, call: Call) -> Call:
        return replace(call, body=call.body.replace(b"{", b'{"amount": 1, ', 1))
