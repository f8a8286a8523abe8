"""The result of every code of VNPay and every status of FPT Pay."""

from __future__ import annotations

import json

import pytest

from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from tests.support.gateways.dialects import REFERENCE, evidence_of_call
from tests.support.gateways.fpt_pay import FPTPayDialect, fpt_pay_call
from tests.support.gateways.table import case
from tests.support.gateways.vnpay import TERMINAL, VNPayDialect, vnpay_ipn

REFUSED = ("09", "10", "12", "13", "24", "51", "65", "75", "79", "99")


@case("every class of code", "VNPay")
@pytest.mark.parametrize(
    "status", ["00", "01", "02", "04", "05", "06", "07", "09", "08", "20", "zz"]
)
@pytest.mark.parametrize("code", ["00", "07", "11", *REFUSED])
def test_only_one_pair_of_codes_is_paid(http: Upstream, code: str, status: str) -> None:
    fields = {
        "vnp_TmnCode": TERMINAL,
        "vnp_Amount": "20000000",
        "vnp_TransactionNo": "15099001",
        "vnp_ResponseCode": code,
        "vnp_TransactionStatus": status,
        "vnp_TxnRef": REFERENCE,
    }
    result = evidence_of_call(VNPayDialect().gateway(http), vnpay_ipn(fields)).result
    assert (result is GatewayResult.PAID) is ((code, status) == ("00", "00"))
    if "07" in {code, status} or status == "04":
        assert result is GatewayResult.SUSPICIOUS, "the customer may have been charged"
    if status == "02" and code in REFUSED:
        assert result is GatewayResult.DECLINED
    if result in {GatewayResult.DECLINED, GatewayResult.EXPIRED}:
        assert status == "02", "only VNPay's status ends a payment"


@case("every class of code", "FPTPay")
@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("paid", GatewayResult.PAID),
        ("pending", GatewayResult.UNPAID),
        ("declined", GatewayResult.DECLINED),
        ("expired", GatewayResult.EXPIRED),
        ("PAID", GatewayResult.UNKNOWN),
        ("refunded", GatewayResult.UNKNOWN),
        ("anything new", GatewayResult.UNKNOWN),
    ],
)
def test_each_status_of_the_wallet_has_its_result(
    http: Upstream, status: str, result: GatewayResult
) -> None:
    payment = FPTPayDialect().payment(status, REFERENCE, 200_000, event_id="evt_1")
    call = fpt_pay_call(json.dumps(payment).encode())
    assert evidence_of_call(FPTPayDialect().gateway(http), call).result is result
