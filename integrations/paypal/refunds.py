"""Money given back through PayPal: what is asked, and what an answer says of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.attempts import Attempt, Failure
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.http.client import Answer, Unusable
from integrations.http.conversation import is_definite
from integrations.http.parsing import parse, parse_as_written, unusable
from integrations.paypal.objects import Order, Problem, Refund, money, to_wire

REFUND = "paypal:refund"
# Under an id that they know, a repeat is the same refund, and tells how it stands. Of refunds they are said to
# know it for 45 days, of orders for six hours: we rely on no more than the shorter.
KEY_LIVES = timedelta(hours=5)
# About us, our pace or an earlier try, and not about what was asked.
_SAYS_NOTHING = frozenset({401, 403, 429})
_KNOWN_ALREADY = "DUPLICATE_INVOICE_ID"
# What is also said where this very refund was made, and its answer lost.
_NOTHING_LEFT = frozenset({"CAPTURE_FULLY_REFUNDED", "REFUND_AMOUNT_EXCEEDED"})


def body(attempt: Attempt, reversal: Reversal) -> dict[str, Any]:
    return {
        "amount": to_wire(reversal.asked),
        "custom_id": reversal.id,
        "invoice_id": reversal.id,
        "note_to_payer": f"Hoan tien GD {attempt.reference}",
    }


def read(reversal: Reversal, answer: Answer, *, again: bool) -> Evidence:
    """Return what the answer to a refund says; *again* where it was asked for before. Raises Unreadable."""
    if answer.ok:
        return evidence(reversal, parse_as_written(Refund, answer.body))
    if not is_definite(answer.status) or answer.status in _SAYS_NOTHING:
        raise unusable(answer)
    issue = parse(Problem, answer.body).issue
    if issue == _KNOWN_ALREADY or (again and issue in _NOTHING_LEFT):
        raise Unusable(f"{issue}, perhaps by ours")
    return _declined(issue)


def evidence(reversal: Reversal, told: Refund) -> Evidence:
    """Return what their record of a refund says. Raises Unusable where it is another's."""
    if not told.is_named(reversal.id) or money(told.amount) != reversal.asked:
        raise Unusable("another refund's answer")
    match told.status:
        case "COMPLETED":
            found = GatewayResult.PAID
        case "FAILED" | "CANCELLED" as status:
            return _declined(status)
        case _:  # PENDING: it waits for the customer's bank or their own people
            found = GatewayResult.UNKNOWN
    return Evidence(source=EvidenceSource.INQUIRY, origin=REFUND, result=found, gateway_id=told.id)


def listed(attempt: Attempt, reversal: Reversal, order: Order) -> Evidence:
    """Return what their record of the order says of a refund; UNPAID where it has none. Raises Unusable."""
    if order.reference != attempt.reference:
        raise Unusable("another order's record")
    for refund in order.refunds:
        if refund.is_named(reversal.id):
            return evidence(reversal, refund)
    return Evidence(source=EvidenceSource.INQUIRY, origin=REFUND, result=GatewayResult.UNPAID)


def _declined(code: str) -> Evidence:
    failure = Failure(
        code=code[:64],
        message=f"PayPal từ chối hoàn tiền ({code[:64]}). Hãy hoàn bằng cách khác rồi ghi lại lý do.",
    )
    return Evidence(
        source=EvidenceSource.INQUIRY, origin=REFUND, result=GatewayResult.DECLINED, failure=failure
    )
