"""Requests about cases, and the VNPay codes that open one."""

from __future__ import annotations

from typing import Any

from tests.support.running_api import Api

CASE = """
id kind status amount unreadable paymentId gateway about owner openedAt ageSeconds
suggestion decision reversalId handInId resolvedAt approvals { actor decision amount reason at }
"""
CASES = f"""
query ($status: CaseStatus, $first: Int, $after: String) {{
  cases(status: $status, first: $first, after: $after) {{
  edges {{ cursor node {{ {CASE} }} }} pageInfo {{ hasNextPage endCursor }} }} }}
"""


def seen(api: Api, *, by: str = "FI001", **given: Any) -> list[dict[str, Any]]:
    """Return a page of cases, as *by* sees it."""
    page = api.get(CASES, given, token=api.token(by))
    return [edge["node"] for edge in page["edges"]]


def of(api: Api, payment: dict[str, Any], *, by: str = "FI001") -> dict[str, Any]:
    """Return the payment's newest case."""
    return next(case for case in seen(api, by=by, first=100) if case["paymentId"] == payment["id"])


# VNPay: a debit that it suspects, and a payment that came after its time.
SUSPICION = {"vnp_ResponseCode": "07", "vnp_TransactionStatus": "07"}
TOO_LATE = {"vnp_ResponseCode": "11", "vnp_TransactionStatus": "02"}
