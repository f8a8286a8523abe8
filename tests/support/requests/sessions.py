"""Requests about sessions."""

from __future__ import annotations

from typing import Any

from tests.support.running_api import Api, key

LOGOUT = "mutation { logout { ok } }"


def codes(answer: dict[str, Any]) -> list[str]:
    """Return the codes on top of an answer."""
    return [item["extensions"]["code"] for item in answer.get("errors", [])]


def cash(api: Api) -> dict[str, Any]:
    contract = api.contract()
    return {
        "input": {
            "idempotencyKey": key(),
            "contractNumber": contract,
            "method": "CASH",
            "items": api.owed(contract)[:1],
        }
    }
