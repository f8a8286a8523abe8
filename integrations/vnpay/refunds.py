"""VNPay's refunds: the request, and the meaning of its answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from domain.attempts import Attempt
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.http.conversation import unknown_evidence
from integrations.text import plain
from integrations.vnpay import protocol

REFUND, REFUND_QUERYDR = "vnpay:refund", "vnpay:refund-querydr"

# What VNPay refuses for good. With 94 it already has the request; 98 and 99 decide nothing.
_REFUSED = frozenset({"02", "03", "04", "13", "16", "91", "93", "95", "97"})
_FULL, _PARTIAL = "02", "03"


def request_fields(
    attempt: Attempt, reversal: Reversal, *, terminal: str, whole: bool, now: datetime
) -> dict[str, str]:
    """Return the unsigned fields. The request has our refund's id, which VNPay takes once a day."""
    return {
        "vnp_RequestId": reversal.id.replace("_", "")[:32],
        "vnp_Version": protocol.VERSION,
        "vnp_Command": "refund",
        "vnp_TmnCode": terminal,
        "vnp_TransactionType": _FULL if whole else _PARTIAL,
        "vnp_TxnRef": attempt.reference,
        "vnp_Amount": protocol.format_amount(reversal.money),
        "vnp_TransactionNo": attempt.gateway_id or "0",
        "vnp_TransactionDate": protocol.format_date(attempt.sent_at or attempt.created_at),
        "vnp_CreateBy": plain(reversal.requested_by, 64) or "mobinet",
        "vnp_CreateDate": protocol.format_date(now),
        "vnp_IpAddr": protocol.NO_CLIENT_IP,
        "vnp_OrderInfo": f"Hoan tien GD {attempt.reference}",
    }


def interpret_refund(reversal: Reversal, fields: Mapping[str, str]) -> Evidence:
    """Return what the answer to a refund says; UNKNOWN if it decides nothing about it."""
    code = fields.get("vnp_ResponseCode", "")
    if code in _REFUSED:
        return _evidence(REFUND, GatewayResult.DECLINED, fields, code)
    if code != "00" or not _has_amount(reversal, fields):
        return unknown_evidence(REFUND)
    return _evidence_of_status(REFUND, fields)


def interpret_refund_query(
    reversal: Reversal, fields: Mapping[str, str], *, known: Collection[str]
) -> Evidence:
    """
    Return what querydr says of a refund; UNKNOWN if it decides nothing about it.

    querydr returns the latest transaction of the reference. We send one refund at a time, so this
    is ours unless it is the payment or a `known` refund. A missing refund proves nothing: a decline
    here could refund the money twice.
    """
    is_refund = fields.get("vnp_TransactionType") in {_FULL, _PARTIAL}
    is_other = fields.get("vnp_TransactionNo", "") in known or not _has_amount(reversal, fields)
    if fields.get("vnp_ResponseCode") != "00" or not is_refund or is_other:
        return unknown_evidence(REFUND_QUERYDR)
    return _evidence_of_status(REFUND_QUERYDR, fields)


def _has_amount(reversal: Reversal, fields: Mapping[str, str]) -> bool:
    return protocol.parse_amount(fields.get("vnp_Amount", "")) == reversal.amount


def _evidence_of_status(origin: str, fields: Mapping[str, str]) -> Evidence:
    status = fields.get("vnp_TransactionStatus", "")
    return _evidence(origin, protocol.refund_result(status), fields, status)


def _evidence(origin: str, result: GatewayResult, fields: Mapping[str, str], code: str) -> Evidence:
    paid, declined = result is GatewayResult.PAID, result is GatewayResult.DECLINED
    return Evidence(
        source=None if result is GatewayResult.UNKNOWN else EvidenceSource.INQUIRY,
        origin=origin,
        result=result,
        gateway_id=protocol.transaction_number(fields) if paid else None,
        failure=protocol.refund_failure(code) if declined else None,
    )
