"""The verdict on a webhook is part of the decision about its evidence."""

from __future__ import annotations

import pytest

from domain.attempts import AttemptStatus
from domain.money import Money
from domain.payment_decisions import decide
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payments import Payment, PaymentStatus
from domain.verdicts import Verdict
from tests.support.builders import LATER, a_payment, an_attempt, evidence

ATTEMPT = an_attempt(AttemptStatus.ACCEPTED)
OPEN = a_payment(PaymentStatus.PROCESSING, attempt=ATTEMPT)
PAID = a_payment(PaymentStatus.SUCCESS, attempt=an_attempt(AttemptStatus.PAID, paid_under=("G1",)))
EXPIRED = a_payment(PaymentStatus.EXPIRED, attempt=an_attempt(AttemptStatus.EXPIRED))


def notice(result: GatewayResult = GatewayResult.PAID, *, less: int = 0) -> Evidence:
    is_paid = result is GatewayResult.PAID
    received = Money(ATTEMPT.money.amount - less, ATTEMPT.money.currency)
    return evidence(
        result,
        source=EvidenceSource.WEBHOOK,
        money=received if is_paid else None,
        gateway_id="G1" if is_paid else None,
    )


@pytest.mark.parametrize(
    ("payment", "received", "verdict"),
    [
        (OPEN, notice(), Verdict.ACCEPTED),
        (OPEN, notice(less=1), Verdict.WRONG_AMOUNT),
        (OPEN, notice(GatewayResult.UNPAID), Verdict.ACCEPTED),
        (PAID, notice(), Verdict.ALREADY_DONE),
        (PAID, notice(GatewayResult.DECLINED), Verdict.ALREADY_DONE),
        (EXPIRED, notice(), Verdict.ACCEPTED),
        (EXPIRED, notice(GatewayResult.DECLINED), Verdict.ALREADY_DONE),
    ],
    ids=[
        "it is paid",
        "a wrong amount",
        "nothing new about an open payment",
        "paid again under the same number",
        "a decline of what is paid",
        "a claim about an expired payment is inquired",
        "a decline of what has expired",
    ],
)
def test_a_decision_has_the_verdict_for_its_gateway(
    payment: Payment, received: Evidence, verdict: Verdict
) -> None:
    decision = decide(payment, payment.attempt, received, now=LATER)
    assert decision.verdict is verdict
