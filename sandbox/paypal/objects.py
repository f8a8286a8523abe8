"""PayPal's orders, captures, refunds and errors, in its own format."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TypeVar

from pydantic import Field
from starlette.responses import JSONResponse, Response

from sandbox import clock
from sandbox.charges import Charge
from sandbox.web import Body, Json, Refused, read

CURRENCY = "USD"
# An order paid from a bank account: its refunds are PENDING until the bank clears them.
ECHECK = "ECHECK"
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


class RefundRequest(Body):
    amount: Amount | None = None
    custom_id: str | None = Field(default=None, min_length=1, max_length=127)
    invoice_id: str | None = Field(default=None, min_length=1, max_length=127)
    note_to_payer: str | None = Field(default=None, min_length=1, max_length=255)


class Problem(Exception):
    """An error answer of PayPal: a name and an issue."""

    def __init__(self, status: int, name: str, issue: str = "", field: str = "") -> None:
        super().__init__(name)
        details = [{"issue": issue, "field": field}] if issue else []
        self.status = status
        self.body: Json = {"name": name, "details": details, "debug_id": secrets.token_hex(6)}

    @property
    def response(self) -> Response:
        return JSONResponse(self.body, self.status)


B = TypeVar("B", bound=Body)


def parse(model: type[B], raw: bytes) -> B:
    try:
        return read(model, raw)
    except Refused as wrong:
        details = wrong.body["error"]["details"]
        raise Problem(400, "INVALID_REQUEST", "INVALID_PARAMETER", str(details)) from None


def cents(amount: Amount) -> int:
    """Return the amount in minor units. Raises Problem where it is zero."""
    found = int(amount.value.replace(".", ""))
    if found == 0:
        raise Problem(422, "UNPROCESSABLE_ENTITY", "CANNOT_BE_ZERO_OR_NEGATIVE")
    return found


def order(charge: Charge, refunds: Sequence[Json] = ()) -> Json:
    status = {"approved": "APPROVED", "paid": "COMPLETED", "declined": "COMPLETED"}
    unit: Json = {
        "reference_id": charge.reference,
        "custom_id": charge.details["custom_id"],
        "invoice_id": charge.details["invoice_id"],
        "amount": amount(charge.amount),
    }
    if charge.status in ("paid", "declined"):
        unit["payments"] = {"captures": [capture(charge, refunds)]}
        if refunds:
            unit["payments"]["refunds"] = list(refunds)
    return {
        "id": charge.gateway_id,
        "intent": "CAPTURE",
        "status": "VOIDED"
        if charge.current_status == "expired"
        else status.get(charge.status, "PAYER_ACTION_REQUIRED"),
        "purchase_units": [unit],
        "links": [{"rel": "payer-action", "href": charge.payment_url, "method": "GET"}],
    }


def capture_id(charge: Charge) -> str:
    return charge.gateway_id.replace("O", "C", 1)


def capture(charge: Charge, refunds: Sequence[Json] = ()) -> Json:
    status = "COMPLETED" if charge.status == "paid" else "DECLINED"
    back = sum(int(refund["amount"]["value"].replace(".", "")) for refund in refunds)
    if back:
        status = "REFUNDED" if back == charge.current_amount else "PARTIALLY_REFUNDED"
    return {
        "id": capture_id(charge),
        "status": status,
        "amount": amount(charge.current_amount),
        "custom_id": charge.details["custom_id"],
        "invoice_id": charge.details["invoice_id"],
        "final_capture": True,
        "supplementary_data": {"related_ids": {"order_id": charge.gateway_id}},
    }


def refund(charge: Charge, row: Json, *, clearing: float) -> Json:
    """Return a stored refund; an ECHECK order's is PENDING for *clearing* seconds."""
    name, _, _ = row["refund_reference"].partition(":")
    waits = charge.details.get("reason") == ECHECK and clock.now() < row["at"] + clearing
    answer: Json = {
        "id": row["gateway_id"],
        "status": "PENDING" if waits else "COMPLETED",
        "amount": amount(row["amount"]),
        "create_time": clock.iso(row["at"]),
        "links": [
            {"rel": "up", "href": f"/v2/payments/captures/{capture_id(charge)}", "method": "GET"}
        ],
    }
    if name != "unnamed":
        answer |= {"custom_id": name, "invoice_id": name}
    return answer | ({"status_details": {"reason": ECHECK}} if waits else {})


def amount(cents: int) -> Json:
    return {"currency_code": "USD", "value": f"{cents // 100}.{cents % 100:02}"}
