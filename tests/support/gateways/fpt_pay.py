"""How FPT Pay answers and calls, as the tests write it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from domain.gateways import Call
from domain.methods import GatewayName
from integrations.fpt_pay.gateway import FPTPay
from integrations.http.client import Upstream
from tests.support.gateways.counterpart import Act, says
from tests.support.gateways.dialects import ALL_OUTCOMES, NOW, REFERENCE, REFUND
from tests.support.gateways.signing import fpt_pay_signature

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
