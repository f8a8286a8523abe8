"""Money given back through Stripe: what is asked, and what an answer says of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pydantic import Field

from domain.attempts import Attempt, Failure
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.amounts import whole
from integrations.http.client import Answer, Unusable
from integrations.http.conversation import is_definite
from integrations.http.parsing import Text, Wire, parse, parse_as_written, unusable
from integrations.stripe.objects import Refused

REFUND = "stripe:refund"
REFUNDS = "/v1/refunds"
# They know a key for a day at least: until then a repeat under it is the same refund.
KEY_LIVES = timedelta(hours=23)
# About us, our pace or an earlier try, and not about what was asked.
_SAYS_NOTHING = frozenset({401, 403, 429})


class _Refund(Wire):
    id: Text
    status: str | None = None
    amount: Any = None
    metadata: dict[str, str] | None = None


class _Listed(Wire):
    data: list[_Refund] = Field(max_length=100)
    has_more: bool


def form(attempt: Attempt, reversal: Reversal) -> dict[str, str]:
    return {
        "payment_intent": attempt.gateway_id or "",
        "amount": str(reversal.amount),
        "metadata[reference]": reversal.id,
        "reason": "requested_by_customer",
    }


def read(reversal: Reversal, answer: Answer) -> Evidence:
    if answer.ok:
        return _evidence(reversal, parse_as_written(_Refund, answer.body))
    if not is_definite(answer.status) or answer.status in _SAYS_NOTHING:
        raise unusable(answer)
    refusal = parse(Refused, answer.body).error
    if refusal.type == "idempotency_error":
        raise Unusable("the key was used for something else")
    return _declined(refusal.code or "declined")


def read_list(reversal: Reversal, answer: Answer) -> Evidence | None:
    """Return what is listed of this refund; None where it is not."""
    if not answer.ok:
        raise unusable(answer)
    listed = parse_as_written(_Listed, answer.body)
    for item in listed.data:
        if (item.metadata or {}).get("reference") == reversal.id:
            return _evidence(reversal, item)
    if listed.has_more:
        raise Unusable("too many refunds")
    return None


def _evidence(reversal: Reversal, told: _Refund) -> Evidence:
    if whole(told.amount) != reversal.amount:
        raise Unusable("another refund's answer")
    match told.status:
        case "succeeded":
            return Evidence(
                source=EvidenceSource.INQUIRY,
                origin=REFUND,
                result=GatewayResult.PAID,
                gateway_id=told.id,
            )
        case "failed" | "canceled" as status:
            return _declined(status)
        case _:  # pending: the card's bank has not taken it yet
            return Evidence(
                source=EvidenceSource.INQUIRY, origin=REFUND, result=GatewayResult.UNKNOWN
            )


def _declined(code: str) -> Evidence:
    failure = Failure(
        code=code[:64],
        message="Stripe từ chối hoàn tiền. Hãy hoàn bằng cách khác rồi ghi lại lý do.",
    )
    return Evidence(
        source=EvidenceSource.INQUIRY, origin=REFUND, result=GatewayResult.DECLINED, failure=failure
    )
