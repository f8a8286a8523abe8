"""Two people decide about refusals and missing answers of a gateway or Revenue."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from db import payments
from domain.methods import PaymentMethod
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from mobinet.verify import verify
from resolvers import jobs, refund_execution
from tests.support.gateways.calls import state
from tests.support.refusals import both_languages, without_effect
from tests.support.requests.cases import of
from tests.support.requests.decisions import books, decide, refunds, refused, vote
from tests.support.requests.held_payments import paid_little
from tests.support.requests.reversals import by_gateway, refund, refusal, void
from tests.support.running_api import Api, Sandbox

pytest_plugins = ["tests.support.running_api"]
Payment = dict[str, Any]


def silent(api: Api, sandbox: Sandbox) -> tuple[Payment, str]:
    """Return a payment and its refund, whose outcome stayed unknown."""
    paid = by_gateway(api, sandbox)
    with sandbox.broken("vnpay", "reset", after_processing=True):
        reversal = refund(api, paid)["reversal"]
    assert reversal["status"] == "UNKNOWN"
    silence = Evidence(source=None, origin="no answer", result=GatewayResult.GAVE_UP)
    api.run(refund_execution.apply_evidence(api.context, reversal["id"], silence))
    return paid, reversal["id"]


@pytest.mark.parametrize(
    ("decision", "status", "account"),
    [("APPLY", "DONE", "gateway_clearing:vnpay"), ("CLOSE", "FAILED", "customer_receivable")],
)
def test_two_people_decide_whether_an_unanswered_refund_was_paid(
    api: Api, sandbox: Sandbox, decision: str, status: str, account: str
) -> None:
    paid, reversal_id = silent(api, sandbox)
    assert of(api, paid)["kind"] == "REFUND_UNKNOWN"
    refused(vote(api, of(api, paid), "CREDIT"), "INVALID_INPUT")
    decide(api, paid, decision)
    (row,) = api.rows("select status from reversal where id = $1", reversal_id)
    assert row["status"] == status
    held = books(api, paid)
    assert "refunds_payable" not in held
    assert (account in held) is (status == "FAILED")


@pytest.mark.parametrize(
    ("result", "wrong", "right", "language"),
    [
        (GatewayResult.PAID, "CLOSE", "APPLY", "vi"),
        (GatewayResult.DECLINED, "APPLY", "CLOSE", "en"),
    ],
)
def test_a_refund_whose_outcome_became_known_is_not_decided_otherwise(
    api: Api, sandbox: Sandbox, result: GatewayResult, wrong: str, right: str, language: str
) -> None:
    paid, reversal_id = silent(api, sandbox)
    case = of(api, paid)
    assert vote(api, case, wrong)["case"]["status"] == "AWAITING_SECOND"
    evidence = Evidence(source=EvidenceSource.SETTLEMENT, origin="vnpay:settlement", result=result)
    after = api.run(refund_execution.apply_evidence(api.context, reversal_id, evidence))
    before = books(api, paid)
    api.token("FI002")
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, wrong, "FI002", language=language)
    assert right in refused(payload, "INVALID_INPUT", language)["message"]
    assert of(api, paid)["suggestion"] == right
    steps = [vote(api, case, right, by)["case"]["status"] for by in ("FI001", "FI002")]
    assert steps == ["AWAITING_SECOND", "RESOLVED"]
    assert books(api, paid) == before
    (row,) = api.rows("select status from reversal where id = $1", reversal_id)
    assert row["status"] == after.status


def test_money_whose_refund_was_declined_is_a_case_again(api: Api, sandbox: Sandbox) -> None:
    payment = paid_little(api, sandbox)  # the gateway does not know this money, so it declines
    decide(api, payment, "REFUND")
    assert refunds(api, sandbox, payment) == []
    came = payment["amount"] - 1000
    assert books(api, payment)["suspense"] == came
    again = of(api, payment)
    assert (again["kind"], again["status"], again["amount"]) == ("LATE_MONEY", "OPEN", came)
    decide(api, payment, "CREDIT")
    assert books(api, payment)["customer_credit"] == came


def not_recorded(api: Api, sandbox: Sandbox, payment: Payment) -> Payment:
    """Let another system pay the bill in Revenue first."""
    completed = api.rows("select completed_at from payment where id = $1", payment["id"])[0][0]
    item = payment["items"][0]
    api.run(
        api.context.revenue.record(
            transaction_id=f"TXN_OTHER_{item['id']}",
            contract_number=payment["contractNumber"],
            method=PaymentMethod(payment["method"]),
            paid_at=completed - timedelta(seconds=1),
            items=api.run(_items(api, payment)),
            staff_id="NV002",
        )
    )
    assert api.run(jobs.record_payment(api.context, payment["id"])) is None
    case = of(api, payment)
    assert (case["kind"], case["about"], case["suggestion"]) == ("RECORD_REFUSED", None, None)
    return payment


async def _items(api: Api, payment: Payment) -> Any:
    found = await payments.by_id(payment["id"])
    assert found is not None
    return found.items


def test_a_payment_that_revenue_refuses_is_credited_and_cannot_be_refunded_too(
    api: Api, sandbox: Sandbox
) -> None:
    payment = not_recorded(api, sandbox, by_gateway(api, sandbox))
    decide(api, payment, "CREDIT")
    assert state(api, payment) == ("SUCCESS", None)
    assert books(api, payment)["customer_credit"] == payment["amount"]
    assert refund(api, payment)["errors"][0]["code"] == "AMOUNT_MISMATCH"


def test_a_payment_that_revenue_refuses_is_refunded(api: Api, sandbox: Sandbox) -> None:
    payment = not_recorded(api, sandbox, by_gateway(api, sandbox))
    refused(vote(api, of(api, payment), "CLOSE"), "TRANSITION_REFUSED")
    decide(api, payment, "REFUND")
    assert refunds(api, sandbox, payment) == [payment["amount"]]
    assert state(api, payment) == ("SUCCESS", None)


def test_two_people_may_record_a_payment_again_and_another_refusal_is_a_new_case(
    api: Api, sandbox: Sandbox
) -> None:
    payment = not_recorded(api, sandbox, by_gateway(api, sandbox))
    first = decide(api, payment, "APPLY")
    (row,) = api.rows("select posting_status from payment where id = $1", payment["id"])
    assert row["posting_status"] == "PENDING"
    api.run(jobs.record_payment(api.context, payment["id"]))
    again = of(api, payment)
    assert (again["kind"], again["status"]) == ("RECORD_REFUSED", "OPEN")
    assert again["id"] != first["id"]


def test_cash_in_hand_that_revenue_refuses_is_voided_and_its_case_closed(
    api: Api, sandbox: Sandbox
) -> None:
    payment = not_recorded(api, sandbox, api.new_payment("NV002"))
    refusal = refused(vote(api, of(api, payment), "REFUND"), "TRANSITION_REFUSED")
    assert "voidCashPayment" in refusal["message"]
    assert void(api, payment, "NV002")["errors"] == []
    decide(api, payment, "CLOSE")
    assert books(api, payment) == {}


@both_languages
@pytest.mark.parametrize("decision", ["CREDIT", "REFUND"])
def test_a_payment_that_revenue_refuses_is_not_credited_while_its_refund_awaits_approval(
    api: Api, sandbox: Sandbox, decision: str, language: str
) -> None:
    payment = not_recorded(api, sandbox, by_gateway(api, sandbox))
    case = of(api, payment)
    before = api.context
    terms = replace(before.terms, four_eyes_above=0)
    api.app.state.context = replace(before, terms=terms)
    try:
        assert refund(api, payment, 1000)["reversal"]["status"] == "AWAITING_APPROVAL"
    finally:
        api.app.state.context = before
    with without_effect(api, sandbox, audit=1):
        payload = vote(api, case, decision, language=language)
    assert "APPROVAL" in refused(payload, "TRANSITION_REFUSED", language)["message"]
    assert vote(api, of(api, payment), "CLOSE", "FI002")["case"]["status"] == "RESOLVED"
    assert vote(api, case, decision, language=language)["errors"] == []


@both_languages
def test_cash_that_was_credited_to_the_customer_is_handed_in_not_voided(
    api: Api, sandbox: Sandbox, language: str
) -> None:
    payment = not_recorded(api, sandbox, api.new_payment("NV002"))
    decide(api, payment, "CREDIT")
    with without_effect(api, sandbox, audit=1):
        payload = void(api, payment, "NV002", language=language)
    assert refusal(payload, language)["code"] == "TRANSITION_REFUSED"


def test_a_failed_refund_of_a_payment_that_revenue_refuses_is_one_case_again(
    api: Api, sandbox: Sandbox
) -> None:
    payment = not_recorded(api, sandbox, by_gateway(api, sandbox))
    decide(api, payment, "REFUND")
    declined = Evidence(source=EvidenceSource.INQUIRY, origin="test", result=GatewayResult.DECLINED)
    (row,) = api.rows("select id from reversal where payment = $1", payment["id"])
    for _ in range(2):
        api.run(refund_execution.apply_evidence(api.context, row["id"], declined))
    open_ = api.rows(
        "select kind from money_case where payment = $1 and status <> 'RESOLVED'",
        payment["id"],
    )
    assert [row["kind"] for row in open_] == ["RECORD_REFUSED"]
    decide(api, payment, "CREDIT")
    assert books(api, payment)["customer_credit"] == payment["amount"]


def test_every_invariant_holds_after_the_tests_above(api: Api) -> None:
    """The last test of this module checks what all tests above it have written."""
    report: list[str] = []
    holds = asyncio.run(
        verify(api.settings, signatures=True, as_json=False, write_line=report.append)
    )
    assert holds, "\n".join(report)
