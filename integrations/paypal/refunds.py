"""PayPal's refunds: the request, and the meaning of its answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from domain.attempts import Attempt, Failure
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.reversals import Reversal
from integrations.http.conversation import declined_evidence, is_definite, unpaid_evidence
from integrations.http.failures import Unusable
from integrations.http.messages import Answer
from integrations.http.parsing import parse, parse_with_raw_numbers, unusable
from integrations.paypal.objects import Order, Problem, Refund, format_amount, money

REFUND = "paypal:refund"
# While PayPal remembers a request's id, a repeat is the same refund and returns its state. The
# documents name 45 days for refunds and six hours for orders; we rely on less than the shorter one.
KEY_LIFETIME = timedelta(hours=5)
# These refuse our key or our rate, and decide nothing about the refund.
_NOT_ABOUT_THE_REFUND = frozenset({401, 403, 429})
_DUPLICATE = "DUPLICATE_INVOICE_ID"
# A repeat gets these codes too if this refund was made and its answer lost.
_NOTHING_LEFT = frozenset({"CAPTURE_FULLY_REFUNDED", "REFUND_AMOUNT_EXCEEDED"})


def body(attempt: Attempt, reversal: Reversal) -> dict[str, Any]:
    return {
        "amount": format_amount(reversal.gateway_money),
        "custom_id": reversal.id,
        "invoice_id": reversal.id,
        "note_to_payer": f"Hoan tien GD {attempt.reference}",
    }


def interpret_refund(reversal: Reversal, answer: Answer, *, repeated: bool) -> Evidence:
    """
    Return what the answer to a refund says. Raises Unreadable if it decides nothing.

    `repeated` means that the refund was requested before.
    """
    if answer.ok:
        return evidence(reversal, parse_with_raw_numbers(Refund, answer.body))
    if not is_definite(answer.status) or answer.status in _NOT_ABOUT_THE_REFUND:
        raise unusable(answer)
    issue = parse(Problem, answer.body).issue
    if issue == _DUPLICATE or (repeated and issue in _NOTHING_LEFT):
        raise Unusable(f"{issue}, perhaps because of this refund")
    return _declined(issue)


def evidence(reversal: Reversal, refund: Refund) -> Evidence:
    """Return what PayPal's record of a refund says. Raises Unusable if it is another refund."""
    if not refund.is_named(reversal.id) or money(refund.amount) != reversal.gateway_money:
        raise Unusable("the answer is about another refund")
    match refund.status:
        case "COMPLETED":
            result = GatewayResult.PAID
        case "FAILED" | "CANCELLED" as status:
            return _declined(status)
        case _:  # PENDING: it waits for the customer's bank or for PayPal's review
            result = GatewayResult.UNKNOWN
    return Evidence(
        source=EvidenceSource.INQUIRY, origin=REFUND, result=result, gateway_id=refund.id
    )


def interpret_refund_query(attempt: Attempt, reversal: Reversal, order: Order) -> Evidence:
    """Return what the order's record says of a refund; UNPAID if it lists none. Raises Unusable."""
    if order.reference != attempt.reference:
        raise Unusable("the answer is about another order")
    for refund in order.refunds:
        if refund.is_named(reversal.id):
            return evidence(reversal, refund)
    return unpaid_evidence(REFUND)


def _declined(code: str) -> Evidence:
    code = code[:64]
    message = f"PayPal từ chối hoàn tiền ({code}). Hãy hoàn bằng cách khác rồi ghi lại lý do."
    return declined_evidence(REFUND, Failure(code=code, message=message))
