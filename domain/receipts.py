"""The receipt: what we swear to about a payment, in one exact text that anyone can check."""

from __future__ import annotations

import json
from dataclasses import dataclass

from domain.payments import Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """`value` is base64url Ed25519 over the UTF-8 bytes of `payload`; `key_id` is a kid in the JWKS."""

    algorithm: str
    key_id: str
    value: str
    payload: str


def payload(payment: Payment) -> str:
    """Return the canonical JSON of the payment's outcome: sorted keys, no spaces, whole đồng."""
    facts = {
        "amount": payment.amount,
        "completed_at": payment.completed_at.isoformat() if payment.completed_at else None,
        "contract_number": payment.contract_number,
        "created_at": payment.created_at.isoformat(),
        "currency": payment.currency,
        "items": [
            {"amount": item.amount, "id": item.id, "type": item.type}
            for item in sorted(payment.items)
        ],
        "method": payment.method,
        "staff_id": payment.staff_id,
        "status": payment.status,
        "transaction_id": payment.id,
    }
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
