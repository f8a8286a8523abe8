"""Requests about voids and refunds, and their effects."""

from __future__ import annotations

from typing import Any

from tests.support.refusals import check_sentence
from tests.support.running_api import PAYMENT, REFUSAL, Api, Sandbox, key

REVERSAL = (
    "id kind status amount reason createdAt completedAt requestedBy approvedBy failureMessage"
)
PAYLOAD = f"""
payment {{ {PAYMENT} reversals {{ {REVERSAL} }} }} reversal {{ {REVERSAL} }}
replayed errors {{ {REFUSAL} }}
"""
VOID = f"""
mutation ($id: ID!, $reason: String!, $key: String!) {{
  voidCashPayment(id: $id, reason: $reason, idempotencyKey: $key) {{ {PAYLOAD} }} }}
"""
REFUND = f"mutation ($input: RefundInput!) {{ refundPayment(input: $input) {{ {PAYLOAD} }} }}"
SUBMIT = "mutation ($input: HandInInput!) { submitHandIn(input: $input) { handIn { id } } }"
HISTORY = f"query ($id: ID!) {{ payment(id: $id) {{ {PAYMENT} reversals {{ {REVERSAL} }} }} }}"


def void(api: Api, payment: dict[str, Any], by: str, **but: Any) -> Any:
    """Send voidCashPayment as *by*; return its payload."""
    language = but.pop("language", "vi")
    given = {"id": payment["id"], "reason": "thu nhầm", "key": key()} | but
    return api.get(VOID, given, token=api.token(by), language=language)


def refund(api: Api, payment: dict[str, Any], amount: int | None = None, **but: Any) -> Any:
    """Send refundPayment of the amount, or of the whole payment; return its payload."""
    language = but.pop("language", "vi")
    by = but.pop("by", "FI001")
    given = {
        "idempotencyKey": key(),
        "paymentId": payment["id"],
        "amount": payment["amount"] if amount is None else amount,
        "reason": "khách trả thừa",
    } | but
    return api.get(REFUND, {"input": given}, token=api.token(by), language=language)


def by_gateway(api: Api, sandbox: Sandbox, method: str = "VNPAY_QR") -> dict[str, Any]:
    """Return a payment that a gateway has completed."""
    payment = api.new_payment(method=method)
    sandbox.pay(reference=payment["gatewayReference"])
    paid = look(api, payment)
    assert paid["status"] == "SUCCESS"
    return paid


def handed_in(api: Api) -> dict[str, Any]:
    """Return a cash payment whose money was handed in."""
    by = api.collector()
    paid = api.new_payment(by)
    given = {"idempotencyKey": key(), "countedAmount": paid["amount"]}
    assert api.get(SUBMIT, {"input": given}, token=api.token(by))["handIn"]
    return look(api, paid)


def look(api: Api, payment: dict[str, Any]) -> dict[str, Any]:
    """Return the payment with its reversals, as it is now."""
    return api.get(HISTORY, {"id": payment["id"]}, token=api.token("AD001"))


def postings(api: Api, payment: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Return the postings of the payment's reversals, oldest first."""
    rows = api.rows(
        "select debit, credit, amount from posting p join entry e on e.id = p.entry"
        " where e.payment = $1 and e.reversal is not null order by p.id",
        payment["id"],
    )
    return [tuple(row) for row in rows]


def used(api: Api, by: str) -> dict[str, int]:
    """Return what the collector has used of each limit, in đồng."""
    limits = api.get("query { me { limits { kind used } } }", token=api.token(by))["limits"]
    return {limit["kind"]: limit["used"] for limit in limits}


def refusal(payload: Any, language: str = "vi") -> dict[str, Any]:
    """Check that the reversal was refused; return its one refusal."""
    assert payload["payment"] is payload["reversal"] is None
    (refused,) = payload["errors"]
    check_sentence(refused["message"], language)
    return refused


def truth(sandbox: Sandbox, payment: dict[str, Any]) -> list[int]:
    """Return the amounts that the gateway has refunded of the payment."""
    refunds = sandbox.truth["refunds"]
    return [
        refund["amount"] for refund in refunds if refund["reference"] == payment["gatewayReference"]
    ]
