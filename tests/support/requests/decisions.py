"""What tests of two people's decisions share: saying them, and looking at what came of it."""

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


def say(api: Api, case: dict[str, Any], decision: str, by: str = "FI001", **but: Any) -> Any:
    language = but.pop("language", "vi")
    given = {"caseId": case["id"], "decision": decision, "reason": "đã đối chiếu sao kê"} | but
    return api.get(RESOLVE, {"input": given}, token=api.token(by), language=language)


def decide(api: Api, payment: Payment, decision: str, **but: Any) -> dict[str, Any]:
    """Have two people say it; return the case as it is then."""
    case = of(api, payment)
    first = say(api, case, decision, "FI001", **but)
    assert first["errors"] == []
    assert (first["case"]["status"], first["case"]["decision"]) == ("AWAITING_SECOND", decision)
    second = say(api, case, decision, "FI002", **but)
    assert second["errors"] == []
    assert second["case"]["status"] == "RESOLVED"
    assert [approval["actor"] for approval in second["case"]["approvals"]] == ["FI001", "FI002"]
    return second["case"]


def books(api: Api, payment: Payment) -> dict[str, int]:
    """Return what each account holds on the payment's behalf, in đồng, where it is not nothing."""
    rows = api.rows(
        "select account, sum(moved)::bigint as holds from posting p join entry e on e.id = p.entry"
        " cross join lateral (values (p.credit, p.amount), (p.debit, -p.amount)) as s (account, moved)"
        " where e.payment = $1 group by account having sum(moved) <> 0",
        payment["id"],
    )
    return {row["account"]: row["holds"] for row in rows}


def refused(payload: Any, code: str, language: str = "vi") -> dict[str, Any]:
    assert payload["case"] is None
    (no,) = payload["errors"]
    assert no["code"] == code, no
    check_sentence(no["message"], language)
    return no


def is_free(api: Api, payment: Payment) -> bool:
    again = api.pay(contractNumber=payment["contractNumber"], items=payment["items"])
    return again["errors"] == []


def refunds(api: Api, sandbox: Sandbox, payment: Payment) -> list[int]:
    """Run the refund's job; return what the gateway gave back of the payment."""
    for row in api.rows("select id from reversal where payment = $1", payment["id"]):
        api.run(jobs.refund(api.context, row["id"]))
    found = sandbox.truth["refunds"]
    return [item["amount"] for item in found if item["reference"] == payment["gatewayReference"]]
