"""VNPay's calls: which are trusted, which are refused, and how each is answered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from domain.gateways import BadCall, Call, Verdict
from domain.payment_evidence import Evidence, GatewayResult
from integrations.http.client import Upstream
from integrations.vnpay.gateway import VNPay
from tests.support.gateways.dialects import NOW, evidence_of_call
from tests.support.gateways.table import case
from tests.support.gateways.vectors import VECTORS
from tests.support.gateways.vnpay import VNPayDialect, vnpay_ipn

EXAMPLES: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["vnpay"]}
OURS = VNPayDialect()


@pytest.fixture
def vnpay(http: Upstream) -> VNPay:
    return OURS.gateway(http)


def ipn(**other: str) -> Call:
    return vnpay_ipn(EXAMPLES["vnpay-ipn-success"]["input"] | other)


def evidence_of_ipn(vnpay: VNPay, **other: str) -> Evidence:
    return evidence_of_call(vnpay, ipn(**other))


def test_the_example_of_a_paid_ipn_is_trusted(vnpay: VNPay) -> None:
    example = EXAMPLES["vnpay-ipn-success"]
    query = f"{example['canonical']}&vnp_SecureHash={example['expected']}"
    call = Call(method="GET", query=query, headers={}, body=b"", received_at=NOW)
    (notice,) = vnpay.read_webhook(call)
    assert notice.evidence.result is GatewayResult.PAID
    assert notice.event_id == "TXN20250729000001:15099001:00:00:20000000"
    assert json.loads(vnpay.answer(Verdict.ACCEPTED).body) == example["answer"]


def test_the_published_ipns_are_read_with_their_own_secret(http: Upstream) -> None:
    vnpay = VNPay(http, tmn_code="TEST_TMN_CODE", hash_secrets=["new", "test_secret"])
    results = {
        "vnpay-ipn-lib-success": GatewayResult.PAID,
        "vnpay-ipn-lib-code99": GatewayResult.UNKNOWN,
    }
    for id, result in results.items():
        example = EXAMPLES[id]
        query = f"vnp_SecureHash={example['expected']}&{example['canonical']}"
        call = Call(method="GET", query=query, headers={}, body=b"", received_at=NOW)
        assert evidence_of_call(vnpay, call).result is result


def test_the_example_of_a_tampered_ipn_is_refused(vnpay: VNPay) -> None:
    example = EXAMPLES["vnpay-ipn-tampered-amount"]
    query = f"{example['canonical']}&vnp_SecureHash={example['presented']}"
    with pytest.raises(BadCall, match="signature"):
        vnpay.read_webhook(Call(method="GET", query=query, headers={}, body=b"", received_at=NOW))
    assert json.loads(vnpay.answer(Verdict.BAD_SIGNATURE).body)["RspCode"] == "97"


def test_the_example_of_a_cancelled_ipn_is_a_decline_with_a_sentence(vnpay: VNPay) -> None:
    example = EXAMPLES["vnpay-ipn-cancelled"]
    evidence = evidence_of_call(vnpay, vnpay_ipn(example["input"]))
    assert evidence.result is GatewayResult.DECLINED
    assert evidence.gateway_id is None
    assert evidence.failure
    assert (evidence.failure.code, evidence.failure.message) == (
        "24",
        "Khách hàng đã huỷ giao dịch.",
    )


@case("every class of code", "VNPay")
@pytest.mark.parametrize(
    ("response", "status", "result"),
    [
        ("00", "00", GatewayResult.PAID),
        ("00", "01", GatewayResult.UNPAID),
        ("24", "01", GatewayResult.UNPAID),
        ("51", "02", GatewayResult.DECLINED),
        ("99", "02", GatewayResult.DECLINED),
        ("11", "02", GatewayResult.EXPIRED),
        ("07", "00", GatewayResult.SUSPICIOUS),
        ("00", "07", GatewayResult.SUSPICIOUS),
        ("00", "04", GatewayResult.SUSPICIOUS),
        ("07", "02", GatewayResult.SUSPICIOUS),
        ("00", "02", GatewayResult.UNKNOWN),
        ("99", "00", GatewayResult.UNKNOWN),
        ("00", "05", GatewayResult.UNKNOWN),
        ("xx", "yy", GatewayResult.UNKNOWN),
    ],
)
def test_both_codes_must_agree(
    vnpay: VNPay, response: str, status: str, result: GatewayResult
) -> None:
    evidence = evidence_of_ipn(vnpay, vnp_ResponseCode=response, vnp_TransactionStatus=status)
    assert evidence.result is result


@pytest.mark.parametrize(
    "amount", ["20000050", "-20000000", "2e7", "20000000.5", "９００", "1" * 13, "1" + "0" * 12]
)
def test_a_signed_payment_with_an_unreadable_amount_is_paid_without_money(
    vnpay: VNPay, amount: str
) -> None:
    evidence = evidence_of_ipn(vnpay, vnp_Amount=amount)
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, None)


def test_the_old_secret_still_verifies_and_a_third_does_not(vnpay: VNPay) -> None:
    fields = EXAMPLES["vnpay-ipn-success"]["input"]
    assert vnpay.read_webhook(vnpay_ipn(fields, "the-old-one"))
    with pytest.raises(BadCall):
        vnpay.read_webhook(vnpay_ipn(fields, "a-third"))


@pytest.mark.parametrize(
    "name",
    ["TmnCode", "TxnRef", "Amount", "TransactionNo", "ResponseCode", "TransactionStatus"],
)
def test_a_signed_ipn_that_lacks_a_field_is_refused(vnpay: VNPay, name: str) -> None:
    with pytest.raises(BadCall, match=f"vnp_{name} is missing"):
        vnpay.read_webhook(ipn(**{f"vnp_{name}": ""}))


def test_an_ipn_for_another_terminal_is_refused(vnpay: VNPay) -> None:
    with pytest.raises(BadCall, match="terminal"):
        vnpay.read_webhook(ipn(vnp_TmnCode="OTHERTMN"))


@pytest.mark.parametrize("signature", ["", "é" * 128, "0" * 127, "\x00", "0" * 129])
def test_a_signature_of_any_other_shape_is_refused(vnpay: VNPay, signature: str) -> None:
    query = EXAMPLES["vnpay-ipn-success"]["canonical"]
    call = Call(
        method="GET",
        query=f"{query}&vnp_SecureHash={signature}",
        headers={},
        body=b"",
        received_at=NOW,
    )
    with pytest.raises(BadCall):
        vnpay.read_webhook(call)


def test_an_ipn_may_also_come_as_a_posted_form_or_json(vnpay: VNPay) -> None:
    get = ipn()
    fields = dict(parse_qsl(get.query))
    form = Call(
        method="POST",
        query="",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        body=get.query.encode(),
        received_at=NOW,
    )
    as_json = replace(
        form,
        headers={"content-type": "application/json; charset=utf-8"},
        body=json.dumps(fields).encode(),
    )
    assert vnpay.read_webhook(get) == vnpay.read_webhook(form) == vnpay.read_webhook(as_json)


def test_a_posted_number_is_refused(vnpay: VNPay) -> None:
    fields: dict[str, Any] = dict(parse_qsl(ipn().query))
    call = Call(
        method="POST",
        query="",
        headers={"content-type": "application/json"},
        body=json.dumps(fields | {"vnp_Amount": 20000000}).encode(),
        received_at=NOW,
    )
    with pytest.raises(BadCall, match="not text"):
        vnpay.read_webhook(call)


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.ACCEPTED, "00"),
        (Verdict.UNKNOWN_REFERENCE, "01"),
        (Verdict.ALREADY_DONE, "02"),
        (Verdict.WRONG_AMOUNT, "04"),
        (Verdict.BAD_SIGNATURE, "97"),
        (Verdict.OUR_ERROR, "99"),
    ],
)
def test_vnpay_gets_its_codes_and_always_status_200(
    vnpay: VNPay, verdict: Verdict, code: str
) -> None:
    reply = vnpay.answer(verdict)
    assert reply.status == 200
    assert json.loads(reply.body)["RspCode"] == code
