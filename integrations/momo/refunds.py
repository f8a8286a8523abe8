"""MoMo's refunds: what is asked for, and what its answers say of one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from domain.attempts import Attempt
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.amounts import whole
from integrations.http.client import Answer, Unusable
from integrations.http.parsing import Wire, parse_as_written
from integrations.momo import protocol

REFUND, REFUND_QUERY = "momo:refund", "momo:refund-query"

# A request that is this old is no longer on its way.
_ARRIVED = timedelta(minutes=5)


class _Refunded(Wire):
    partnerCode: str | None = None
    orderId: str | None = None
    amount: Any = None
    transId: Any = None
    resultCode: int


class _Line(Wire):
    """One refund of an order, under the id that we gave it."""

    orderId: str
    amount: Any
    transId: int
    resultCode: int


class _Queried(Wire):
    partnerCode: str
    orderId: str
    resultCode: int
    refundTrans: list[_Line]


def request(attempt: Attempt, reversal: Reversal) -> dict[str, Any]:
    """Return the unsigned fields. Our id is the request's and the refund's, which MoMo takes once."""
    assert attempt.gateway_id is not None, "what MoMo was paid by has its number"
    return {
        "requestId": reversal.id,
        "orderId": reversal.id,
        "amount": reversal.amount,
        "transId": int(attempt.gateway_id),
        "description": f"Hoan tien GD {attempt.reference}",
    }


def answered(reversal: Reversal, partner: str, answer: Answer) -> Evidence:
    """Return what the answer to a refund says. Raises Unusable for what is not to be believed."""
    told = parse_as_written(_Refunded, answer.body)
    if protocol.is_refund_refused(told.resultCode) and told.orderId in {None, reversal.id}:
        return _evidence(REFUND, GatewayResult.DECLINED, told.resultCode, None)
    whose = (told.partnerCode, told.orderId, whole(told.amount))
    if told.resultCode != 0 or whose != (partner, reversal.id, reversal.amount):
        raise Unusable(f"status {answer.status}, code {told.resultCode}")
    return _evidence(REFUND, GatewayResult.PAID, 0, told.transId)


def told(
    attempt: Attempt, reversal: Reversal, partner: str, answer: Answer, *, now: datetime
) -> Evidence:
    """Return what a query of the order says of one of its refunds. Raises Unusable."""
    said = parse_as_written(_Queried, answer.body)
    if (said.partnerCode, said.orderId, said.resultCode) != (partner, attempt.reference, 0):
        raise Unusable(f"status {answer.status}, code {said.resultCode}")
    ours = [line for line in said.refundTrans if line.orderId == reversal.id]
    if not ours:
        arrived = reversal.sent_at is not None and now - reversal.sent_at >= _ARRIVED
        found = GatewayResult.UNPAID if arrived else GatewayResult.UNKNOWN
        return _evidence(REFUND_QUERY, found, 0, None)
    (line,) = ours[:1]
    if len(ours) > 1 or whole(line.amount) != reversal.amount:
        raise Unusable("refundTrans: it is another refund")
    found = protocol.refund_result(line.resultCode)
    return _evidence(REFUND_QUERY, found, line.resultCode, line.transId)


def _evidence(source: str, found: GatewayResult, code: int, number: Any) -> Evidence:
    known = str(number) if type(number) in {int, str} else ""
    return Evidence(
        source=None if found is GatewayResult.UNKNOWN else EvidenceSource.INQUIRY,
        origin=source,
        result=found,
        gateway_id=known if found is GatewayResult.PAID and known.strip("0") else None,
        failure=protocol.refund_failure(code) if found is GatewayResult.DECLINED else None,
    )
