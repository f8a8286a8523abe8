"""Payments by PayPal: their state, their charge, and asking the gateway again."""

from __future__ import annotations

from typing import Any

from tests.support.running_api import VERIFY, Api, Sandbox


def state(api: Api, payment: dict[str, Any]) -> tuple[str, str | None]:
    (row,) = api.rows("select status, hold_reason from payment where id = $1", payment["id"])
    return row["status"], row["hold_reason"]


def verify(api: Api, payment: dict[str, Any]) -> dict[str, Any]:
    """Ask, as the worker does when it hears of an approval."""
    api.rows(
        "update attempt set inquired_at = null where reference = $1 returning 1",
        payment["gatewayReference"],
    )
    return api.get(VERIFY, {"id": payment["id"]}, token=api.token("NV002"))


def charge(sandbox: Sandbox, payment: dict[str, Any]) -> dict[str, Any]:
    reference = payment["gatewayReference"]
    (found,) = [item for item in sandbox.truth["charges"] if item["reference"] == reference]
    return found
