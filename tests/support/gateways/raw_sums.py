"""Signed calls and answers in which a sum stands as a test writes it."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from domain.gateways import Call
from domain.methods import GatewayName
from tests.support.gateways import paypal, stripe
from tests.support.gateways.bank import (
    CASSO_SECRET,
    casso_call,
    casso_transfer,
    sepay_call,
    sepay_transfer,
)
from tests.support.gateways.counterpart import Act, says
from tests.support.gateways.dialects import (
    REFERENCE,
    Dialect,
    FPTPayDialect,
    Teller,
    VNPayDialect,
    fpt_pay_call,
    vnpay_ipn,
)
from tests.support.gateways.momo import MoMoDialect, momo_ipn

_HERE = "the sum stands here"


def _written(fields: dict[str, Any], literal: str) -> bytes:
    """Return *fields* as JSON with *literal* where the sum stands."""
    return json.dumps(fields).replace(f'"{_HERE}"', literal).encode()


def _vnpay(literal: str) -> Call:
    call = VNPayDialect().calls("paid")
    fields = dict(part.split("=") for part in call.query.split("&"))
    del fields["vnp_SecureHash"]
    fields |= {"vnp_OrderInfo": "Thanh toan", "vnp_Amount": json.loads(literal)}
    return vnpay_ipn(fields)


def _fpt_pay(literal: str) -> Call:
    fields = FPTPayDialect().told("paid", REFERENCE, _HERE, event_id="evt_1")
    return fpt_pay_call(_written(fields, literal))


def _momo(literal: str) -> Call:
    """Its signature is over the raw value: `amount=200000.0`."""
    text = json.loads(literal) if literal.startswith('"') else literal
    call = momo_ipn(MoMoDialect().event(0, amount=text))
    body = call.body.replace(
        f'"amount": {json.dumps(text)}'.encode(), b'"amount": ' + literal.encode()
    )
    return replace(call, body=body)


def _stripe(literal: str) -> Call:
    about = stripe.session("paid", REFERENCE, amount_total=_HERE, payment_intent="pi_77")
    event = json.loads(stripe.event("checkout.session.completed", about))
    return stripe.stripe_call(_written(event, literal))


def _paypal(literal: str) -> Call:
    about = paypal.capture() | {"amount": {"currency_code": "USD", "value": _HERE}}
    event = json.loads(paypal.event("PAYMENT.CAPTURE.COMPLETED", about))
    return paypal.paypal_call(_written(event, literal))


def _casso(literal: str) -> Call:
    fields = {"error": 0, "data": casso_transfer(amount=_HERE)}
    call = casso_call(fields)
    moment = call.headers["x-casso-signature"].partition(",")[0].removeprefix("t=")
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    signed = f"{moment}.{text}".replace(f'"{_HERE}"', literal).encode()
    digest = hmac.new(CASSO_SECRET.encode(), signed, hashlib.sha512).hexdigest()
    headers = {"x-casso-signature": f"t={moment},v1={digest}"}
    return replace(call, headers=headers, body=_written(fields, literal))


def _sepay(literal: str) -> Call:
    return sepay_call(_written(sepay_transfer(transferAmount=_HERE), literal))


CALLS: dict[str, Callable[[str], Call]] = {
    "VNPay": _vnpay,
    "FPTPay": _fpt_pay,
    "MoMo": _momo,
    "Stripe": _stripe,
    "PayPal": _paypal,
    "Casso": _casso,
    "Sepay": _sepay,
}
_VNPAY_READS = ['"20000000"', '"20000000.0"', '"20000000.00"', '"020000000"']
_PAYPAL_READS = ['"2000.00"', "2000.00", '"2000"', "2000", '"2000.0"', "2000.0"]
_READS = ["200000", "200000.0", "200000.00", '"200000"', '"200000.0"', '"200000.00"']
_VNPAY_HOLDS = [
    '"20000050"',
    '"20000000.5"',
    '"2e7"',
    '"20,000,000"',
    '"20000000.000"',
]
_PAYPAL_HOLDS = ['"2000.5"', '"2,000.00"', "2e3", '"2000.000"', "2000.001", '"USD 2000"', "null"]
_HOLDS = ["2e5", "2E+5", "200000.5", "200000.000", "9007199254740992", "9" * 5000, '"200.000"',
         '"200,000"', '"2e5"', '" 200000"', '"200000đ"', '"200000.0\\n"']  # fmt: skip


def call_with(teller: Teller, literal: str) -> Call:
    """Return a call of money that came, whose sum is the JSON *literal*."""
    return CALLS[_name_of(teller)](literal)


def reads(teller: Teller) -> list[str]:
    """Return how the sum that was asked for may be written."""
    return {"VNPay": _VNPAY_READS, "PayPal": _PAYPAL_READS}.get(_name_of(teller), _READS)


def holds(teller: Teller) -> list[str]:
    """Return what cannot be read in its place."""
    return {"VNPay": _VNPAY_HOLDS, "PayPal": _PAYPAL_HOLDS}.get(_name_of(teller), _HOLDS)


def _name_of(teller: Teller) -> str:
    return type(teller).__name__.removesuffix("Dialect")


def vnpay_answer(amount: Any, kind: str) -> Act:
    """Its signature is over the text; the JSON may hold a number."""
    ours = VNPayDialect()
    text = amount if isinstance(amount, str) else json.dumps(amount)
    if kind == "inquiry":
        fields = ours.inquiry("paid", reference=REFERENCE, amount=1, vnp_Amount=text)
    else:
        heading = ours.heading("00", "Refund success", REFERENCE)
        about = {"vnp_TransactionType": "03", "vnp_TransactionStatus": "05"}
        more = {"vnp_Command": "refund", "vnp_Amount": text, "vnp_TransactionNo": "15099002"}
        fields = ours.signed(heading | about | more)
    return says(fields | {"vnp_Amount": amount})


def inquiry(dialect: Dialect, amount: Any) -> Act:
    match dialect.name:
        case GatewayName.VNPAY:
            return vnpay_answer(amount, "inquiry")
        case GatewayName.PAYPAL:
            taken = paypal.capture() | {"amount": {"currency_code": "USD", "value": amount}}
            return says(paypal.order("COMPLETED", REFERENCE, taken))
        case _:
            return dialect.tells("paid", amount=amount)
