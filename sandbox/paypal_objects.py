"""PayPal's orders and captures, as it takes and shows them, and how it says no."""

from __future__ import annotations

import secrets

from pydantic import Field
from starlette.responses import JSONResponse, Response

from sandbox.charges import Charge
from sandbox.web import Body, Json

VALUE = r"^(0|[1-9]\d{0,6})\.\d{2}$"


class Amount(Body):
    currency_code: str
    value: str = Field(pattern=VALUE)


class Unit(Body):
    amount: Amount
    reference_id: str = Field(default="default", max_length=256)
    custom_id: str | None = Field(default=None, min_length=1, max_length=255)
    invoice_id: str | None = Field(default=None, min_length=1, max_length=127)
    description: str = Field(default="", max_length=127)


class Order(Body):
    intent: str = Field(pattern="^CAPTURE$")
    purchase_units: list[Unit] = Field(min_length=1, max_length=1)
    payment_source: Json = Field(default_factory=dict)


class Problem(Exception):
    """How PayPal says no: a name, and an issue."""

    def __init__(self, status: int, name: str, issue: str = "", field: str = "") -> None:
        super().__init__(name)
        details = [{"issue": issue, "field": field}] if issue else []
        self.status = status
        self.body: Json = {"name": name, "details": details, "debug_id": secrets.token_hex(6)}

    @property
    def response(self) -> Response:
        return JSONResponse(self.body, self.status)


def order(charge: Charge) -> Json:
    status = {"approved": "APPROVED", "paid": "COMPLETED", "declined": "COMPLETED"}
    unit: Json = {
        "reference_id": charge.reference,
        "custom_id": charge.details["custom_id"],
        "invoice_id": charge.details["invoice_id"],
        "amount": amount(charge.amount),
    }
    if charge.status in ("paid", "declined"):
        unit["payments"] = {"captures": [capture(charge)]}
    return {
        "id": charge.gateway_id,
        "intent": "CAPTURE",
        "status": "VOIDED"
        if charge.now == "expired"
        else status.get(charge.status, "PAYER_ACTION_REQUIRED"),
        "purchase_units": [unit],
        "links": [{"rel": "payer-action", "href": charge.payment_url, "method": "GET"}],
    }


def capture(charge: Charge) -> Json:
    return {
        "id": charge.gateway_id.replace("O", "C", 1),
        "status": "COMPLETED" if charge.status == "paid" else "DECLINED",
        "amount": amount(charge.money),
        "custom_id": charge.details["custom_id"],
        "invoice_id": charge.details["invoice_id"],
        "final_capture": True,
        "supplementary_data": {"related_ids": {"order_id": charge.gateway_id}},
    }


def amount(cents: int) -> Json:
    return {"currency_code": "USD", "value": f"{cents // 100}.{cents % 100:02}"}
