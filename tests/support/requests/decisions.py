"""Votes of two people about a case, and their effects."""

from __future__ import annotations

from typing import Any

from resolvers import jobs
from tests.support.refusals import check_sentence
from tests.support.requests.cases import CASE, of
from tests.support.running_api import REFUSAL, Api, Sandbox

RESOLVE = f"""
mutation ($input: ResolveCaseInput!) {{ resolveCase(input: $input) {{
  case {{ {CASE} }} errors {{ {REFUSAL} }} }} }}
"""
Payment = dict[str, Any]


def vote(api: Api, case: dict[str, Any], decision: str, by: str = "FI001", **but: Any) -> Any:
    """Send resolveCase as *by*; return its payload."""
    language = but.pop("language", "vi")
    given = {"caseId": case["id"], "decision": decision, "reason": "đã đối chiếu sao kê"} | but
    return api.get(RESOLVE, {"input": given}, token=api.token(by), language=language)


def decide(api: Api, payment: Payment, decision: str, **but: Any) -> dict[str, Any]:
    """Let two people decide the payment's case; return the resolved case."""
    case = of(api, payment)
    first = vote(api, case, decision, "FI001", **but)
    assert first["errors"] == []
    assert (first["case"]["status"], first["case"]["decision"]) == ("AWAITING_SECOND", decision)
    second = vote(api, case, decision, "FI002", **but)
    assert second["errors"] == []
    assert second["case"]["status"] == "RESOLVED"
    assert [approval["actor"] for approval in second["case"]["approvals"]] == ["FI001", "FI002"]
    return second["case"]


def books(api: Api, payment: Payment) -> dict[str, int]:
    """Return the balance of each account for the payment, in đồng, without zeros."""
    rows = api.rows(
        "select account, sum(moved)::bigint as holds from posting p join entry e on e.id = p.entry"
        " cross join lateral"
        " (values (p.credit, p.amount), (p.debit, -p.amount)) as s (account, moved)"
        " where e.payment = $1 group by account having sum(moved) <> 0",
        payment["id"],
    )
    return {row["account"]: row["holds"] for row in rows}


def refused(payload: Any, code: str, language: str = "vi") -> dict[str, Any]:
    """Check that the decision was refused with this code; return the refusal."""
    assert payload["case"] is None
    (refusal,) = payload["errors"]
    assert refusal["code"] == code, refusal
    check_sentence(refusal["message"], language)
    return refusal


def is_free(api: Api, payment: Payment) -> bool:
    """Return whether the payment's bills can be paid; it pays them in cash."""
    payload = api.process_payment(contractNumber=payment["contractNumber"], items=payment["items"])
    return payload["errors"] == []


def refunds(api: Api, sandbox: Sandbox, payment: Payment) -> list[int]:
    """Run the payment's refund jobs; return the amounts that the gateway refunded."""
    for row in api.rows("select id from reversal where payment = $1", payment["id"]):
        api.run(jobs.refund(api.context, row["id"]))
    return [
        refund["amount"]
        for refund in sandbox.truth["refunds"]
        if refund["reference"] == payment["gatewayReference"]
    ]
