"""VNPay's refunds: what is asked for, and what its answers say of one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from domain.attempts import Attempt
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.text import plain
from integrations.vnpay import protocol

REFUND, REFUND_QUERYDR = "vnpay:refund", "vnpay:refund-querydr"

# What VNPay refuses for good. 94 says that it has our request already, 98 and 99 nothing at all.
_REFUSED = frozenset({"02", "03", "04", "13", "16", "91", "93", "95", "97"})
_WHOLE, _PART = "02", "03"


def request(
    attempt: Attempt, reversal: Reversal, *, terminal: str, whole: bool, now: datetime
) -> dict[str, str]:
    """Return the unsigned fields. Our id is the request's, which VNPay takes once a day."""
    return {
        "vnp_RequestId": reversal.id.replace("_", "")[:32],
        "vnp_Version": protocol.VERSION,
        "vnp_Command": "refund",
        "vnp_TmnCode": terminal,
        "vnp_TransactionType": _WHOLE if whole else _PART,
        "vnp_TxnRef": attempt.reference,
        "vnp_Amount": protocol.to_wire(reversal.money),
        "vnp_TransactionNo": attempt.gateway_id or "0",
        "vnp_TransactionDate": protocol.date14(attempt.sent_at or attempt.created_at),
        "vnp_CreateBy": plain(reversal.requested_by, 64) or "mobinet",
        "vnp_CreateDate": protocol.date14(now),
        "vnp_IpAddr": protocol.NOBODY,
        "vnp_OrderInfo": f"Hoan tien GD {attempt.reference}",
    }


def answered(reversal: Reversal, fields: Mapping[str, str]) -> Evidence | None:
    """Return what the answer to a refund says; None for what is not to be believed."""
    code = fields.get("vnp_ResponseCode", "")
    if code in _REFUSED:
        return _evidence(REFUND, GatewayResult.DECLINED, fields, code)
    if code != "00" or protocol.from_wire(fields.get("vnp_Amount", "")) != reversal.amount:
        return None
    status = fields.get("vnp_TransactionStatus", "")
    return _evidence(REFUND, protocol.refund_state(status), fields, status)


def told(
    reversal: Reversal, fields: Mapping[str, str], *, known: Collection[str], now: datetime
) -> Evidence | None:
    """
    Return what querydr says of a refund; None for what is not to be believed.

    It speaks of the latest transaction of the reference. That is ours unless it is the payment, or a
    refund that we know as another: we send one at a time. That it knows of none yet proves nothing: to take
    it for a no could give the money back twice.
    """
    if fields.get("vnp_ResponseCode") != "00":
        return None
    number = fields.get("vnp_TransactionNo", "")
    refund = fields.get("vnp_TransactionType") in {_WHOLE, _PART} and number not in known
    if not refund or protocol.from_wire(fields.get("vnp_Amount", "")) != reversal.amount:
        return None
    status = fields.get("vnp_TransactionStatus", "")
    return _evidence(REFUND_QUERYDR, protocol.refund_state(status), fields, status)


def _evidence(source: str, found: GatewayResult, fields: Mapping[str, str], code: str) -> Evidence:
    number = fields.get("vnp_TransactionNo", "")
    return Evidence(
        source=None if found is GatewayResult.UNKNOWN else EvidenceSource.INQUIRY,
        origin=source,
        result=found,
        gateway_id=number if found is GatewayResult.PAID and number.strip("0") else None,
        failure=protocol.refund_failure(code) if found is GatewayResult.DECLINED else None,
    )
