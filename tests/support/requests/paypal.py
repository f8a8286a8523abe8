"""Payments by PayPal: their state, their charge, and a new inquiry."""

from __future__ import annotations

from typing import Any

from tests.support.running_api import VERIFY, Api, Sandbox


def state(api: Api, payment: dict[str, Any]) -> tuple[str, str | None]:
    """Return the payment's status and the reason of its hold, or None."""
    (row,) = api.rows("select status, hold_reason from payment where id = $1", payment["id"])
    return row["status"], row["hold_reason"]


def verify(api: Api, payment: dict[str, Any]) -> dict[str, Any]:
    """Send verifyPayment past the inquiry quota, as the worker inquires after an approval."""
    api.rows(
        "update attempt set inquired_at = null where reference = $1 returning 1",
        payment["gatewayReference"],
    )
    return api.get(VERIFY, {"id": payment["id"]}, token=api.token("NV002"))


def charge(sandbox: Sandbox, payment: dict[str, Any]) -> dict[str, Any]:
    """Return the sandbox's charge of the payment."""
    reference = payment["gatewayReference"]
    (found,) = [row for row in sandbox.truth["charges"] if row["reference"] == reference]
    return found
