"""Requests about hand-ins, and their postings."""

from __future__ import annotations

from typing import Any

from tests.support.running_api import REFUSAL, Api, key

HAND_IN = """
id staff { staffId name } status expectedAmount countedAmount declaredAmount variance note
submittedAt confirmedAt confirmedBy
"""
REFUSALS = REFUSAL + "... on HandInConfirmed { handInId countedAmount confirmedAt }"
SUBMIT = f"""
mutation ($input: HandInInput!) {{ submitHandIn(input: $input) {{
  handIn {{ {HAND_IN} }} errors {{ {REFUSALS} }} }} }}
"""
CONFIRM = f"""
mutation ($id: ID!, $counted: Amount!) {{ confirmHandIn(id: $id, countedAmount: $counted) {{
  handIn {{ {HAND_IN} }} errors {{ {REFUSALS} }} }} }}
"""


def submit(api: Api, by: str, counted: int, **but: Any) -> Any:
    """Send submitHandIn; return its payload."""
    language = but.pop("language", "vi")
    given = {"idempotencyKey": key(), "countedAmount": counted} | but
    return api.get(SUBMIT, {"input": given}, token=api.token(by), language=language)


def confirm(
    api: Api,
    hand_in: dict[str, Any] | str,
    counted: int,
    *,
    by: str = "CA001",
    language: str = "vi",
) -> Any:
    """Send confirmHandIn; return its payload."""
    hand_in_id = hand_in if isinstance(hand_in, str) else hand_in["id"]
    given = {"id": hand_in_id, "counted": counted}
    return api.get(CONFIRM, given, token=api.token(by), language=language)


def in_hand(api: Api, by: str) -> int:
    """Return the cash that the collector has in hand, in đồng."""
    limits = api.get("query { me { limits { kind used } } }", token=api.token(by))["limits"]
    return next(limit["used"] for limit in limits if limit["kind"] == "CASH_IN_HAND")


def submitted(api: Api, by: str, *, counted: int | None = None) -> dict[str, Any]:
    """Return a new hand-in of one cash payment."""
    paid = api.new_payment(by)
    payload = submit(api, by, paid["amount"] if counted is None else counted)
    assert payload["handIn"], payload
    return payload["handIn"]


def postings(api: Api, hand_in: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    """Return the hand-in's postings as (debit, credit, amount, collector), oldest first."""
    rows = api.rows(
        "select debit, credit, amount, p.staff from posting p join entry e on e.id = p.entry"
        " where e.hand_in = $1 order by p.id",
        hand_in["id"],
    )
    return [tuple(row) for row in rows]


def staff_cash(api: Api, by: str) -> int:
    """Return the cash that the ledger has with the collector, in đồng."""
    (row,) = api.rows(
        "select coalesce(sum(case when debit = 'staff_cash' then amount else -amount end), 0)"
        " as held from posting where staff = $1 and 'staff_cash' in (debit, credit)",
        by,
    )
    return int(row["held"])
