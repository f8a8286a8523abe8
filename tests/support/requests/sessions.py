"""Requests about sessions."""

from __future__ import annotations

from typing import Any

from tests.support.running_api import Api, key

LOGOUT = "mutation { logout { ok } }"


def codes(answer: dict[str, Any]) -> list[str]:
    """Return the codes of an answer's top-level errors."""
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


def cash(api: Api) -> dict[str, Any]:
    """Return the variables of a cash payment of a new contract."""
    contract = api.contract()
    return {
        "input": {
            "idempotencyKey": key(),
            "contractNumber": contract,
            "method": "CASH",
            "items": api.owed(contract)[:1],
        }
    }
