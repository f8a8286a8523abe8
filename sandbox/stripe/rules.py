"""Stripe's formats: form parameters with brackets, error objects, and test cards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from starlette.responses import JSONResponse, Response

from sandbox.web import Json

Form = dict[str, str]

LARGEST = 99_999_999
WHOLE = r"[1-9]\d{0,11}"
WEB = r"https?://[!-~]{3,2000}"
TEXT = r"(?s).{1,500}"

# Pattern of each known parameter; * marks a required one.
SESSION = {
    "mode*": "payment",
    "client_reference_id": r"[\w-]{1,200}",
    "line_items[0][quantity]*": WHOLE,
    "line_items[0][price_data][currency]*": "vnd|usd",
    "line_items[0][price_data][unit_amount]*": WHOLE,
    "line_items[0][price_data][product_data][name]*": TEXT,
    "payment_method_types[0]": "card",
    "payment_intent_data[description]": TEXT,
    "success_url*": WEB,
    "cancel_url": WEB,
    "expires_at": r"\d{10}",
    "locale": "vi|en|auto",
}
INTENT = {
    "amount*": WHOLE,
    "currency*": "vnd|usd",
    "confirm*": "true",
    "payment_method": r"pm_\w+",
    "payment_method_data[type]": "card",
    "payment_method_data[card][token]": r"tok_\w+",
    "payment_method_types[0]": "card",
    "description": TEXT,
    "return_url": WEB,
}
REFUND = {
    "payment_intent*": r"pi_\w+",
    "amount": WHOLE,
    "reason": "duplicate|fraudulent|requested_by_customer",
}
_TAG = re.compile(r"(?:payment_intent_data)?\[?metadata\]?\[([\w-]{1,40})\]", re.ASCII)

# Stripe's test cards: None is paid, "" waits for the customer, others give the decline code.
TEST_CARDS: Mapping[str, str | None] = {
    "pm_card_visa": None,
    "pm_card_mastercard": None,
    "tok_visa": None,
    "pm_card_authenticationRequired": "",
    "pm_card_threeDSecure2Required": "",
    "pm_card_visa_chargeDeclined": "generic_decline",
    "tok_chargeDeclined": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "tok_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "pm_card_chargeDeclinedExpiredCard": "expired_card",
}


class StripeRefused(Exception):
    """An error answer: `error.type` and further fields."""

    def __init__(self, status: int, type: str, *, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.error: Json = {"type": type, "message": message} | more

    @property
    def response(self) -> Response:
        return JSONResponse({"error": self.error}, self.status)


class Declined(StripeRefused):
    """The bank declined the card; the charge exists."""

    def __init__(self, decline_code: str, **more: object) -> None:
        super().__init__(402, "card_error", message="Your card was declined.", **more)
        self.error |= card_error(decline_code)


def card_error(decline_code: str) -> Json:
    own = decline_code in ("expired_card", "incorrect_cvc", "payment_intent_authentication_failure")
    return {
        "type": "card_error",
        "code": decline_code if own else "card_declined",
        "decline_code": decline_code,
        "message": "Your card was declined.",
    }


def not_found(what: str) -> StripeRefused:
    return StripeRefused(
        404, "invalid_request_error", message=f"No such {what}", code="resource_missing"
    )


def invalid_parameter(param: str, code: str, message: str) -> StripeRefused:
    return StripeRefused(400, "invalid_request_error", message=message, code=code, param=param)


def parse_form(body: bytes) -> Form:
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def check_form(form: Form, known: Mapping[str, str]) -> None:
    """
    Check a form against the known parameters.

    Raises StripeRefused, with the parameter's name, for a missing, unknown or malformed one.
    """
    needed = {name.removesuffix("*"): pattern for name, pattern in known.items()}
    for name in known:
        if name.endswith("*") and name[:-1] not in form:
            raise invalid_parameter(
                name[:-1], "parameter_missing", f"Missing required param: {name[:-1]}."
            )
    for name, value in form.items():
        if _TAG.fullmatch(name) or re.fullmatch(r"expand\[\d*\]", name):
            continue
        if name not in needed:
            raise invalid_parameter(
                name, "parameter_unknown", f"Received unknown parameter: {name}"
            )
        if not re.fullmatch(needed[name], value, re.ASCII if needed[name] != TEXT else 0):
            raise invalid_parameter(name, "parameter_invalid", f"Invalid {name}")


def check_amount(amount: int, param: str) -> int:
    if amount > LARGEST:
        raise invalid_parameter(param, "amount_too_large", f"Amount must be no more than {LARGEST}")
    return amount


def metadata_of(form: Form, below: str = "") -> dict[str, str]:
    """Return the form's metadata: its own, or that of the part named *below*."""
    prefix = f"{below}[metadata][" if below else "metadata["
    return {
        name.removeprefix(prefix)[:-1]: value
        for name, value in form.items()
        if name.startswith(prefix)
    }
