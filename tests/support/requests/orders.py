"""Requests about a merchant's orders."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.running_api import PAYMENT, REFUSAL, Api, key

CREATE = f"""
mutation ($input: CreateOrderInput!) {{ createOrder(input: $input) {{
  order {{ id reference amount currency status payments {{ id }} }} replayed
  errors {{ {REFUSAL} }} }} }}
"""
PAY = f"""
mutation ($input: PayOrderInput!) {{ payOrder(input: $input) {{
  payment {{ {PAYMENT} order {{ id reference status }} }} replayed errors {{ {REFUSAL} }} }} }}
"""


@pytest.fixture(scope="module")
def shop(api: Api) -> str:
    return merchant_token(api)


def merchant_token(api: Api) -> str:
    """Log the shop in; return its token."""
    form = {"grant_type": "client_credentials", "client_id": "shop", "client_secret": "shop-secret"}
    return api.http.post("/oauth/token", data=form).json()["access_token"]


def created(api: Api, shop: str, **but: Any) -> dict[str, Any]:
    """Send createOrder; return its payload."""
    given = {"idempotencyKey": key(), "reference": key(), "amount": 120_000} | but
    return api.get(CREATE, {"input": given}, token=shop)


def paying(api: Api, shop: str, order: dict[str, Any], **but: Any) -> dict[str, Any]:
    """Send payOrder; return its payload."""
    given = {
        "idempotencyKey": key(),
        "orderId": order["id"],
        "amount": order["amount"],
        "method": "VNPAY_QR",
    } | but
    return api.get(PAY, {"input": given}, token=shop)


def effects(api: Api) -> dict[str, Any]:
    """Return every row as a hash, but for the audit log."""
    return {
        name: rows
        for name, rows in api.dump().items()
        if name not in {"audit_event", "audit_link", "seal"}
    }
