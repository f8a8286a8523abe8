"""Payments that a gateway's call has put on hold."""

from __future__ import annotations

from tests.support.gateways.calls import call, ipn, signed, state
from tests.support.requests.cases import SUSPICION
from tests.support.requests.decisions import Payment, books
from tests.support.running_api import Api, Sandbox


def paid_little(api: Api, sandbox: Sandbox) -> Payment:
    """Return a QR for which too little was paid (hard case 9)."""
    qr = api.new_payment(method="VNPAY_QR")
    assert call(api, signed(ipn(qr, vnp_Amount=str((qr["amount"] - 1000) * 100)))) == "04"
    assert state(api, qr) == ("PROCESSING", "AMOUNT_MISMATCH")
    return qr


def suspected(api: Api, sandbox: Sandbox) -> Payment:
    """Return a QR whose payment VNPay suspects, with no money booked (hard case 16)."""
    qr = api.new_payment(method="VNPAY_QR")
    assert call(api, signed(ipn(qr, **SUSPICION))) == "00"
    return qr


def suspected_and_paid(api: Api, sandbox: Sandbox) -> Payment:
    """Return a suspected QR whose money is in suspense (hard case 16)."""
    qr = suspected(api, sandbox)
    sandbox.pay(reference=qr["gatewayReference"])
    assert books(api, qr)["suspense"] == qr["amount"]
    return qr
