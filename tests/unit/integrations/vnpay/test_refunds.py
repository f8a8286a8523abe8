"""Refunds through VNPay: the request, and the meaning of each answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.vnpay import protocol
from integrations.vnpay.gateway import VNPay
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, attempt, reversal
from tests.support.gateways.signing import vnpay_signature
from tests.support.gateways.vectors import VECTORS
from tests.support.gateways.vnpay import SECRET, VNPayDialect

EXAMPLES = {item["id"]: item for item in VECTORS["vnpay"]}
REVERSAL = replace(reversal(), requested_by="NV001")
PAID = replace(attempt(), gateway_id="15099001")


@pytest.fixture
def vnpay(http: Upstream) -> VNPay:
    return VNPayDialect().gateway(http)


def answer(**changes: str) -> dict[str, str]:
    """Return VNPay's example of an answer with *changes*, signed again."""
    fields = EXAMPLES["vnpay-refund-response"]["input"] | changes
    order = EXAMPLES["vnpay-refund-response"]["field_order"]
    text = "|".join(fields.get(name, "") for name in order)
    return fields | {"vnp_SecureHash": vnpay_signature(SECRET, text)}


def test_the_orders_of_the_signed_fields_are_those_of_the_document() -> None:
    assert list(protocol.REFUND_FIELDS) == EXAMPLES["vnpay-refund-request"]["field_order"]
    assert list(protocol.REFUND_ANSWER_FIELDS) == EXAMPLES["vnpay-refund-response"]["field_order"]


@pytest.mark.parametrize(("whole", "transaction_type"), [(True, "02"), (False, "03")])
async def test_a_refund_request_follows_the_document(
    vnpay: VNPay, counterpart: Counterpart, whole: bool, transaction_type: str
) -> None:
    counterpart.will(says(answer()))
    await vnpay.refund(PAID, REVERSAL, whole=whole, now=NOW)
    sent = counterpart.seen[0].json
    example = EXAMPLES["vnpay-refund-request"]["input"]
    own_names = {"vnp_RequestId", "vnp_CreateDate", "vnp_IpAddr", "vnp_SecureHash"}
    expected = example | {"vnp_TransactionType": transaction_type}
    assert {name: sent[name] for name in sent.keys() - own_names} == {
        name: expected[name] for name in expected.keys() - own_names
    }
    assert sent["vnp_RequestId"] == "REV0123456789ABCDEF"
    text = "|".join(sent[name] for name in protocol.REFUND_FIELDS)
    assert sent["vnp_SecureHash"] == vnpay_signature(SECRET, text)


async def test_the_example_of_an_answer_is_trusted(vnpay: VNPay, counterpart: Counterpart) -> None:
    example = EXAMPLES["vnpay-refund-response"]
    counterpart.will(says(example["input"] | {"vnp_SecureHash": example["expected"]}))
    evidence = await vnpay.refund(PAID, REVERSAL, whole=False, now=NOW)
    assert (evidence.result, evidence.gateway_id) == (GatewayResult.PAID, "15099002")


@pytest.mark.parametrize(
    ("code", "result"),
    [
        (code, GatewayResult.DECLINED)
        for code in ("02", "03", "04", "13", "16", "91", "93", "95", "97")
    ]
    + [(code, GatewayResult.UNKNOWN) for code in ("94", "98", "99", "")],
)
async def test_a_code_is_a_decline_only_where_the_document_says_so(
    vnpay: VNPay, counterpart: Counterpart, code: str, result: GatewayResult
) -> None:
    counterpart.will(says(answer(vnp_ResponseCode=code)))
    evidence = await vnpay.refund(PAID, REVERSAL, whole=False, now=NOW)
    assert evidence.result is result
    assert (evidence.failure is not None) is (result is GatewayResult.DECLINED)


@pytest.mark.parametrize(
    "wrong",
    [{"vnp_Amount": "5000100"}, {"vnp_TxnRef": "ANOTHER"}, {"vnp_TmnCode": "OTHERTMN"}],
    ids=["amount", "reference", "terminal"],
)
async def test_an_answer_about_another_refund_is_unknown(
    vnpay: VNPay, counterpart: Counterpart, wrong: dict[str, str]
) -> None:
    counterpart.will(says(answer(**wrong)))
    evidence = await vnpay.refund(PAID, REVERSAL, whole=False, now=NOW)
    assert evidence.result is GatewayResult.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "minutes", "result"),
    [
        ({"vnp_TransactionType": "03", "vnp_TransactionNo": "2"}, 0, GatewayResult.PAID),
        ({"vnp_TransactionType": "02", "vnp_TransactionNo": "2"}, 0, GatewayResult.PAID),
        (
            {"vnp_TransactionType": "03", "vnp_TransactionNo": "2", "vnp_TransactionStatus": "09"},
            0,
            GatewayResult.DECLINED,
        ),
        ({"vnp_TransactionType": "03", "vnp_TransactionNo": "known"}, 0, GatewayResult.UNKNOWN),
        ({"vnp_TransactionType": "03", "vnp_TransactionNo": "known"}, 60, GatewayResult.UNKNOWN),
        ({"vnp_TransactionType": "01"}, 60, GatewayResult.UNKNOWN),
        (
            {"vnp_TransactionType": "03", "vnp_TransactionNo": "2", "vnp_Amount": "1"},
            5,
            GatewayResult.UNKNOWN,
        ),
        ({"vnp_ResponseCode": "94"}, 60, GatewayResult.UNKNOWN),
    ],
)
async def test_an_inquiry_returns_the_latest_transaction_which_may_be_another(
    vnpay: VNPay,
    counterpart: Counterpart,
    fields: dict[str, str],
    minutes: int,
    result: GatewayResult,
) -> None:
    fields = {"vnp_TransactionStatus": "05"} | fields
    answer = VNPayDialect().inquiry_fields(
        "paid", reference=PAID.reference, amount=50_000, **fields
    )
    counterpart.will(says(answer))
    evidence = await vnpay.inquire_refund(
        PAID, REVERSAL, known={"known"}, now=NOW + timedelta(minutes=minutes)
    )
    assert evidence.result is result
