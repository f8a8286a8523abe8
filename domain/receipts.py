"""The receipt: what we swear to about a payment, in one exact text that anyone can check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.payments import Payment


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """`value` is base64url Ed25519 over the UTF-8 bytes of `payload`; `key_id` is a kid in the JWKS."""

    algorithm: str
    key_id: str
    value: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What we swore to when a payment became final. It is never signed again, whatever key is current."""

    payment_id: str
    version: int
    payload: str
    key_id: str
    signature: bytes
    signed_at: datetime


def payload(payment: Payment) -> str:
    """
    Return the canonical JSON of the payment's outcome: sorted keys, no spaces, whole đồng.

    Only what never changes once the payment is final, so that the text can be made again from the
    tables at any time: db/proofs.py spells it a second time, in SQL.
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
