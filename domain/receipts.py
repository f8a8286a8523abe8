"""The record of a final payment: one exact, signed text that its receipt shows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.payments import Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """`value` is the base64url Ed25519 signature of `payload` in UTF-8; `key_id` is a JWKS kid."""

    algorithm: str
    key_id: str
    value: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The record that was signed when the payment became final. It is never signed again."""

    payment_id: str
    version: int
    payload: str
    key_id: str
    signature: bytes
    signed_at: datetime


def payload(payment: Payment) -> str:
    """
    Return the canonical JSON of the payment's outcome: sorted keys, no spaces, whole đồng.

    It holds only what never changes after the end, so the tables give the same text at any time.
    `db/invariants/proofs.py` builds the same text in SQL, independently.
    """
    facts = {
        "amount": payment.amount,
        "business_date": payment.business_date.isoformat(),
        "completed_at": _moment(payment.completed_at),
        "contract_number": payment.contract_number,
        "created_at": _moment(payment.created_at),
        "currency": payment.currency,
        "gateway": payment.gateway,
        "gateway_reference": payment.gateway_reference,
        "items": [
            {"amount": item.amount, "id": item.id, "type": item.type}
            for item in sorted(payment.items)
        ],
        "late": payment.late,
        "method": payment.method,
        "order_id": payment.order.id if payment.order else None,
        "staff_id": payment.staff_id,
        "status": payment.status,
        "transaction_id": payment.id,
        "version": payment.version,
    }
    return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _moment(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat(timespec="microseconds") if at else None
