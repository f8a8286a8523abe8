"""Requests about hand-ins: submitting cash and counting it."""

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
