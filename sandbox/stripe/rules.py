"""What Stripe takes and how it says no: forms with brackets, errors as objects, cards as test tokens."""

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
TAGS = r"\[metadata\]\[[\w-]{1,40}\]"

# Each parameter that is known, and what it may be; those with a * are needed.
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

# Their test cards: None is charged, "" asks the customer, the rest is refused with this code.
TOKENS: Mapping[str, str | None] = {
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
    """An answer that is an error: `error.type`, and what more it says."""

    def __init__(self, status: int, type: str, *, message: str, **more: object) -> None:
        super().__init__(message)
        self.status = status
        self.error: Json = {"type": type, "message": message} | more

    @property
    def response(self) -> Response:
        return JSONResponse({"error": self.error}, self.status)


class Declined(StripeRefused):
    """The bank said no: the charge was tried, and is there."""

    def __init__(self, decline_code: str, **more: object) -> None:
        super().__init__(402, "card_error", message="Your card was declined.", **more)
        self.error |= refused_card(decline_code)


def refused_card(decline_code: str) -> Json:
    own = decline_code in ("expired_card", "incorrect_cvc", "payment_intent_authentication_failure")
    return {
        "type": "card_error",
        "code": decline_code if own else "card_declined",
        "decline_code": decline_code,
        "message": "Your card was declined.",
    }


def no_such(what: str) -> StripeRefused:
    return StripeRefused(
        404, "invalid_request_error", message=f"No such {what}", code="resource_missing"
    )


def wrong(param: str, code: str, message: str) -> StripeRefused:
    return StripeRefused(400, "invalid_request_error", message=message, code=code, param=param)


def form_of(body: bytes) -> Form:
    return dict(parse_qsl(body.decode(), keep_blank_values=True))


def check(form: Form, known: Mapping[str, str]) -> None:
    """Refuse what is missing, unknown or of the wrong form, as Stripe does by the parameter's name."""
    needed = {name.removesuffix("*"): pattern for name, pattern in known.items()}
    for name in known:
        if name.endswith("*") and name[:-1] not in form:
            raise wrong(name[:-1], "parameter_missing", f"Missing required param: {name[:-1]}.")
    for name, value in form.items():
        if _TAG.fullmatch(name) or re.fullmatch(r"expand\[\d*\]", name):
            continue
        if name not in needed:
            raise wrong(name, "parameter_unknown", f"Received unknown parameter: {name}")
        if not re.fullmatch(needed[name], value, re.ASCII if needed[name] != TEXT else 0):
            raise wrong(name, "parameter_invalid", f"Invalid {name}")


def check_amount(amount: int, param: str) -> int:
    if amount > LARGEST:
        raise wrong(param, "amount_too_large", f"Amount must be no more than {LARGEST}")
    return amount


def tags(form: Form, below: str = "") -> dict[str, str]:
    """The metadata that a form gives, its own or what is to be the payment's."""
    prefix = f"{below}[metadata][" if below else "metadata["
    return {
        name.removeprefix(prefix)[:-1]: value
        for name, value in form.items()
        if name.startswith(prefix)
    }
