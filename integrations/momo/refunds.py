"""MoMo's refunds: the request, and the meaning of its answers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.attempts import Attempt
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.amounts import WholeId, whole_number
from integrations.http.failures import Unusable
from integrations.http.messages import Answer
from integrations.http.parsing import WireModel, parse_with_raw_numbers
from integrations.momo import protocol

REFUND, REFUND_QUERY = "momo:refund", "momo:refund-query"

# After this time a request has either reached MoMo or is lost.
_ARRIVAL_LIMIT = timedelta(minutes=5)


class _RefundResponse(WireModel):
    partnerCode: str | None = None
    orderId: str | None = None
    amount: Any = None
    transId: Any = None
    resultCode: int


class ListedRefund(WireModel):
    """A refund of an order. `orderId` is the id that we gave the refund."""

    orderId: str
    amount: Any
    transId: WholeId
    resultCode: int


class _Order(WireModel):
    partnerCode: str
    orderId: str
    resultCode: int
    refundTrans: list[ListedRefund]


def request_fields(attempt: Attempt, reversal: Reversal) -> dict[str, Any]:
    """Return the unsigned fields. Our id names request and refund; MoMo accepts it once."""
    assert attempt.gateway_id is not None, "a payment through MoMo has MoMo's number"
    return {
        "requestId": reversal.id,
        "orderId": reversal.id,
        "amount": reversal.amount,
        "transId": int(attempt.gateway_id),
        "description": f"Hoan tien GD {attempt.reference}",
    }


def interpret_refund(reversal: Reversal, partner: str, answer: Answer) -> Evidence:
    """Return what the answer to a refund says. Raises Unusable if it is not about this refund."""
    refund = parse_with_raw_numbers(_RefundResponse, answer.body)
    code = refund.resultCode
    if protocol.is_refund_refused(code) and refund.orderId in {None, reversal.id}:
        return _evidence(REFUND, GatewayResult.DECLINED, code)
    found = (refund.partnerCode, refund.orderId, whole_number(refund.amount))
    if code != 0 or found != (partner, reversal.id, reversal.amount):
        raise Unusable(f"status {answer.status}, code {code}")
    return _evidence(REFUND, GatewayResult.PAID, code, refund.transId)


def listed_refunds(attempt: Attempt, partner: str, answer: Answer) -> Sequence[ListedRefund]:
    """Return the refunds that MoMo lists for the attempt's order. Raises Unusable."""
    order = parse_with_raw_numbers(_Order, answer.body)
    found = (order.partnerCode, order.orderId, order.resultCode)
    if found != (partner, attempt.reference, 0):
        raise Unusable(f"status {answer.status}, code {order.resultCode}")
    return order.refundTrans


def interpret_refund_query(
    reversal: Reversal, listed: Sequence[ListedRefund], *, now: datetime
) -> Evidence:
    """
    Return what an order's *listed* refunds say of one refund. Raises Unusable.

    UNPAID means that MoMo lists no such refund, although the request can no longer be on its way.
    """
    matching = [refund for refund in listed if refund.orderId == reversal.id]
    if not matching:
        arrived = reversal.sent_at is not None and now - reversal.sent_at >= _ARRIVAL_LIMIT
        result = GatewayResult.UNPAID if arrived else GatewayResult.UNKNOWN
        return _evidence(REFUND_QUERY, result, 0)
    refund = matching[0]
    if len(matching) > 1 or whole_number(refund.amount) != reversal.amount:
        raise Unusable("refundTrans: another refund")
    result = protocol.refund_result(refund.resultCode)
    return _evidence(REFUND_QUERY, result, refund.resultCode, refund.transId)


def _evidence(origin: str, result: GatewayResult, code: int, number: object = None) -> Evidence:
    paid = result is GatewayResult.PAID
    return Evidence(
        source=None if result is GatewayResult.UNKNOWN else EvidenceSource.INQUIRY,
        origin=origin,
        result=result,
        gateway_id=protocol.transaction_number(number) if paid else None,
        failure=protocol.refund_failure(code) if result is GatewayResult.DECLINED else None,
    )
