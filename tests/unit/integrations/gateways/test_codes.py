"""Every code of VNPay's table and every status of FPT Pay's, by the class that it is in: paid, not so far, no, or not known."""

import json

import pytest

from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from tests.support.gateways.dialects import (
    REFERENCE,
    TERMINAL,
    FPTPayDialect,
    VNPayDialect,
    evidence_of_call,
    fpt_pay_call,
    vnpay_ipn,
)
from tests.support.gateways.table import case

REFUSED = ("09", "10", "12", "13", "24", "51", "65", "75", "79", "99")


@case("every class of code", "VNPay")
@pytest.mark.parametrize("status", ["00", "01", "02", "04", "05", "06", "07", "09", "08", "20", "zz"])  # fmt: skip
@pytest.mark.parametrize("code", ["00", "07", "11", *REFUSED])
def test_money_is_believed_by_one_pair_of_codes_alone(
    http: Upstream, code: str, status: str
) -> None:
    fields = {
        "vnp_TmnCode": TERMINAL,
        "vnp_Amount": "20000000",
        "vnp_TransactionNo": "15099001",
        "vnp_ResponseCode": code,
        "vnp_TransactionStatus": status,
        "vnp_TxnRef": REFERENCE,
    }
    found = evidence_of_call(VNPayDialect().gateway(http), vnpay_ipn(fields)).result
    assert (found is GatewayResult.PAID) is ((code, status) == ("00", "00"))
    if "07" in {code, status} or status == "04":
        assert found is GatewayResult.SUSPICIOUS, "money may have left the customer"
    if status == "02" and code in REFUSED:
        assert found is GatewayResult.DECLINED
    if found in {GatewayResult.DECLINED, GatewayResult.EXPIRED}:
        assert status == "02", "only they can say that it is over"


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
def test_each_status_of_the_wallet_is_in_its_class(
    http: Upstream, status: str, result: GatewayResult
) -> None:
    told = FPTPayDialect().payment(status, REFERENCE, 200_000, event_id="evt_1")
    call = fpt_pay_call(json.dumps(told).encode())
    assert evidence_of_call(FPTPayDialect().gateway(http), call).result is result
