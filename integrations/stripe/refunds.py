"""Stripe's refunds: the request, and the meaning of its answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from domain.attempts import Attempt, Failure
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.amounts import whole_number
from integrations.http.conversation import declined_evidence, is_definite
from integrations.http.failures import Unusable
from integrations.http.messages import Answer
from integrations.http.parsing import (
    Text,
    WireModel,
    parse,
    parse_with_raw_numbers,
    unusable,
)
from integrations.stripe.objects import ErrorResponse

REFUND = "stripe:refund"
REFUNDS = "/v1/refunds"
# Stripe remembers an idempotency key for at least a day; until then a repeat is the same refund.
KEY_LIFETIME = timedelta(hours=23)
# These refuse our key or our rate, and decide nothing about the refund.
_NOT_ABOUT_THE_REFUND = frozenset({401, 403, 429})


class _Refund(WireModel):
    id: Text
    status: str | None = None
    amount: Any = None
    metadata: dict[str, str] | None = None


class _RefundList(WireModel):
    data: list[_Refund] = Field(max_length=100)
    has_more: bool


def form(attempt: Attempt, reversal: Reversal) -> dict[str, str]:
    return {
        "payment_intent": attempt.gateway_id or "",
        "amount": str(reversal.amount),
        "metadata[reference]": reversal.id,
        "reason": "requested_by_customer",
    }


def interpret_refund(reversal: Reversal, answer: Answer) -> Evidence:
    """Return what the answer to a refund says. Raises Unreadable if it decides nothing."""
    if answer.ok:
        return _evidence(reversal, parse_with_raw_numbers(_Refund, answer.body))
    if not is_definite(answer.status) or answer.status in _NOT_ABOUT_THE_REFUND:
        raise unusable(answer)
    error = parse(ErrorResponse, answer.body).error
    if error.type == "idempotency_error":
        raise Unusable("the idempotency key belongs to another request")
    return _declined(error.code or "declined")


def interpret_refund_query(reversal: Reversal, answer: Answer) -> Evidence | None:
    """Return what a payment's list of refunds says of this one; None if it is not listed."""
    if not answer.ok:
        raise unusable(answer)
    page = parse_with_raw_numbers(_RefundList, answer.body)
    for refund in page.data:
        if (refund.metadata or {}).get("reference") == reversal.id:
            return _evidence(reversal, refund)
    if page.has_more:
        raise Unusable("too many refunds")
    return None


def _evidence(reversal: Reversal, refund: _Refund) -> Evidence:
    if whole_number(refund.amount) != reversal.amount:
        raise Unusable("the answer is about another refund")
    match refund.status:
        case "succeeded":
            return Evidence(
                source=EvidenceSource.INQUIRY,
                origin=REFUND,
                result=GatewayResult.PAID,
                gateway_id=refund.id,
            )
        case "failed" | "canceled" as status:
            return _declined(status)
        case _:  # pending: the card's bank has not accepted it yet
            return Evidence(
                source=EvidenceSource.INQUIRY, origin=REFUND, result=GatewayResult.UNKNOWN
            )


def _declined(code: str) -> Evidence:
    message = "Stripe từ chối hoàn tiền. Hãy hoàn bằng cách khác rồi ghi lại lý do."
    return declined_evidence(REFUND, Failure(code=code[:64], message=message))
