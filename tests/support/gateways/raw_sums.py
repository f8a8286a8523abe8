"""Signed calls and answers whose amount is a JSON literal of the test."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from domain.gateways import Call
from domain.methods import GatewayName
from tests.support.gateways import paypal, stripe
from tests.support.gateways.bank import (
    casso_call_of,
    casso_transfer,
    sepay_call,
    sepay_transfer,
)
from tests.support.gateways.counterpart import Act, says
from tests.support.gateways.dialects import REFERENCE, Caller, Dialect
from tests.support.gateways.fpt_pay import FPTPayDialect, fpt_pay_call
from tests.support.gateways.momo import MoMoDialect, momo_ipn
from tests.support.gateways.signing import casso_text
from tests.support.gateways.vnpay import VNPayDialect, vnpay_ipn

_PLACEHOLDER = "the amount stands here"


def _json_with(fields: dict[str, Any], literal: str) -> bytes:
    """Return *fields* as JSON with *literal* as the amount."""
    return json.dumps(fields).replace(f'"{_PLACEHOLDER}"', literal).encode()


def _vnpay(literal: str) -> Call:
    call = VNPayDialect().call("paid")
    fields = dict(part.split("=") for part in call.query.split("&"))
    del fields["vnp_SecureHash"]
    fields |= {"vnp_OrderInfo": "Thanh toan", "vnp_Amount": json.loads(literal)}
    return vnpay_ipn(fields)


def _fpt_pay(literal: str) -> Call:
    fields = FPTPayDialect().payment("paid", REFERENCE, _PLACEHOLDER, event_id="evt_1")
    return fpt_pay_call(_json_with(fields, literal))


def _momo(literal: str) -> Call:
    """Sign the raw value: `amount=200000.0`."""
    text = json.loads(literal) if literal.startswith('"') else literal
    call = momo_ipn(MoMoDialect().event(0, amount=text))
    body = call.body.replace(
        f'"amount": {json.dumps(text)}'.encode(), b'"amount": ' + literal.encode()
    )
    return replace(call, body=body)


def _stripe(literal: str) -> Call:
    about = stripe.session("paid", REFERENCE, amount_total=_PLACEHOLDER, payment_intent="pi_77")
    event = json.loads(stripe.event("checkout.session.completed", about))
    return stripe.stripe_call(_json_with(event, literal))


def _paypal(literal: str) -> Call:
    about = paypal.capture() | {"amount": {"currency_code": "USD", "value": _PLACEHOLDER}}
    event = json.loads(paypal.event("PAYMENT.CAPTURE.COMPLETED", about))
    return paypal.paypal_call(_json_with(event, literal))


def _casso(literal: str) -> Call:
    fields = {"error": 0, "data": casso_transfer(amount=_PLACEHOLDER)}
    text = casso_text(fields).replace(f'"{_PLACEHOLDER}"', literal)
    return casso_call_of(_json_with(fields, literal), text)


def _sepay(literal: str) -> Call:
    return sepay_call(_json_with(sepay_transfer(transferAmount=_PLACEHOLDER), literal))


CALLS: dict[str, Callable[[str], Call]] = {
    "VNPay": _vnpay,
    "FPTPay": _fpt_pay,
    "MoMo": _momo,
    "Stripe": _stripe,
    "PayPal": _paypal,
    "Casso": _casso,
    "Sepay": _sepay,
}
_VNPAY_READABLE = ['"20000000"', '"20000000.0"', '"20000000.00"', '"020000000"']
_PAYPAL_READABLE = ['"2000.00"', "2000.00", '"2000"', "2000", '"2000.0"', "2000.0"]
_READABLE = ["200000", "200000.0", "200000.00", '"200000"', '"200000.0"', '"200000.00"']
_VNPAY_UNREADABLE = [
    '"20000050"',
    '"20000000.5"',
    '"2e7"',
    '"20,000,000"',
    '"20000000.000"',
]
_PAYPAL_UNREADABLE = [
    '"2000.5"',
    '"2,000.00"',
    "2e3",
    '"2000.000"',
    "2000.001",
    '"USD 2000"',
    "null",
]
_UNREADABLE = ["2e5", "2E+5", "200000.5", "200000.000", "9007199254740992", "9" * 5000, '"200.000"',
         '"200,000"', '"2e5"', '" 200000"', '"200000đ"', '"200000.0\\n"']  # fmt: skip


def call_with(caller: Caller, literal: str) -> Call:
    """Return a call that reports a payment, whose amount is the JSON *literal*."""
    return CALLS[_name_of(caller)](literal)


def readable_literals(caller: Caller) -> list[str]:
    """Return the notations of the requested amount that are read."""
    return {"VNPay": _VNPAY_READABLE, "PayPal": _PAYPAL_READABLE}.get(_name_of(caller), _READABLE)


def unreadable_literals(caller: Caller) -> list[str]:
    """Return literals that are no readable amount."""
    return {"VNPay": _VNPAY_UNREADABLE, "PayPal": _PAYPAL_UNREADABLE}.get(
        _name_of(caller), _UNREADABLE
    )


def _name_of(caller: Caller) -> str:
    return type(caller).__name__.removesuffix("Dialect")


def vnpay_answer(amount: Any, kind: str) -> Act:
    """Return an answer whose signature covers the amount's text; the JSON may hold a number."""
    dialect = VNPayDialect()
    text = amount if isinstance(amount, str) else json.dumps(amount)
    if kind == "inquiry":
        fields = dialect.inquiry_fields("paid", reference=REFERENCE, amount=1, vnp_Amount=text)
    else:
        heading = dialect.heading("00", "Refund success", REFERENCE)
        about = {"vnp_TransactionType": "03", "vnp_TransactionStatus": "05"}
        more = {"vnp_Command": "refund", "vnp_Amount": text, "vnp_TransactionNo": "15099002"}
        fields = dialect.signed(heading | about | more)
    return says(fields | {"vnp_Amount": amount})


def inquiry_answer(dialect: Dialect, amount: Any) -> Act:
    match dialect.name:
        case GatewayName.VNPAY:
            return vnpay_answer(amount, "inquiry")
        case GatewayName.PAYPAL:
            taken = paypal.capture() | {"amount": {"currency_code": "USD", "value": amount}}
            return says(paypal.order("COMPLETED", REFERENCE, taken))
        case _:
            return dialect.inquiry_answer("paid", amount=amount)
