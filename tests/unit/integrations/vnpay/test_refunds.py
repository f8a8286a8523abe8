"""Giving money back by VNPay: what is sent, and what an answer is worth."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.vnpay import protocol
from integrations.vnpay.gateway import VNPay
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, VNPayDialect, attempt, reversal, vnpay_hash
from tests.support.gateways.vectors import VECTORS

EXAMPLES = {item["id"]: item for item in VECTORS["vnpay"]}
REVERSAL = replace(reversal(), requested_by="NV001")
PAID = replace(attempt(), gateway_id="15099001")


@pytest.fixture
def vnpay(http: Upstream) -> VNPay:
    return VNPayDialect().gateway(http)


def answer(**but: str) -> dict[str, str]:
    """Return VNPay's example of an answer, changed and signed anew."""
    fields = EXAMPLES["vnpay-refund-response"]["input"] | but
    order = EXAMPLES["vnpay-refund-response"]["field_order"]
    text = "|".join(fields.get(name, "") for name in order)
    return fields | {"vnp_SecureHash": vnpay_hash(text)}


def test_the_orders_of_the_signed_fields_are_those_of_the_document() -> None:
    assert list(protocol.REFUND) == EXAMPLES["vnpay-refund-request"]["field_order"]
    assert list(protocol.REFUND_ANSWER) == EXAMPLES["vnpay-refund-response"]["field_order"]


@pytest.mark.parametrize(("whole", "type_"), [(True, "02"), (False, "03")])
async def test_a_refund_is_asked_for_as_the_document_says(
    vnpay: VNPay, counterpart: Counterpart, whole: bool, type_: str
) -> None:
    counterpart.will(says(answer()))
    await vnpay.refund(PAID, REVERSAL, whole=whole, now=NOW)
    sent = counterpart.seen[0].json
    example = EXAMPLES["vnpay-refund-request"]["input"]
    ours = {"vnp_RequestId", "vnp_CreateDate", "vnp_IpAddr", "vnp_SecureHash"}
    expected = example | {"vnp_TransactionType": type_}
    assert {k: v for k, v in sent.items() if k not in ours} == {
        k: v for k, v in expected.items() if k not in ours
    }
    assert sent["vnp_RequestId"] == "REV0123456789ABCDEF"
    text = "|".join(sent[name] for name in protocol.REFUND)
    assert sent["vnp_SecureHash"] == vnpay_hash(text)


async def test_the_example_of_an_answer_is_believed(vnpay: VNPay, counterpart: Counterpart) -> None:
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
async def test_a_code_is_a_no_only_where_the_document_says_so(
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
async def test_an_answer_about_something_else_says_nothing(
    vnpay: VNPay, counterpart: Counterpart, wrong: dict[str, str]
) -> None:
    counterpart.will(says(answer(**wrong)))
    evidence = await vnpay.refund(PAID, REVERSAL, whole=False, now=NOW)
    assert evidence.result is GatewayResult.UNKNOWN


@pytest.mark.parametrize(
    ("told", "after", "result"),
    [
        ({"vnp_TransactionType": "03", "vnp_TransactionNo": "2"}, 0, GatewayResult.PAID),
        ({"vnp_TransactionType": "02", "vnp_TransactionNo": "2"}, 0, GatewayResult.PAID),
        ({"vnp_TransactionType": "03", "vnp_TransactionNo": "2", "vnp_TransactionStatus": "09"}, 0, GatewayResult.DECLINED),
        ({"vnp_TransactionType": "03", "vnp_TransactionNo": "known"}, 0, GatewayResult.UNKNOWN),
        ({"vnp_TransactionType": "03", "vnp_TransactionNo": "known"}, 60, GatewayResult.UNKNOWN),
        ({"vnp_TransactionType": "01"}, 60, GatewayResult.UNKNOWN),
        ({"vnp_TransactionType": "03", "vnp_TransactionNo": "2", "vnp_Amount": "1"}, 5, GatewayResult.UNKNOWN),
        ({"vnp_ResponseCode": "94"}, 60, GatewayResult.UNKNOWN),
    ],
)  # fmt: skip
async def test_an_inquiry_tells_of_the_latest_transaction_which_may_be_another(
    vnpay: VNPay, counterpart: Counterpart, told: dict[str, str], after: int, result: GatewayResult
) -> None:
    fields = {"vnp_TransactionStatus": "05"} | told
    said = VNPayDialect().inquiry("paid", reference=PAID.reference, amount=50_000, **fields)
    counterpart.will(says(said))
    evidence = await vnpay.inquire_refund(
        PAID, REVERSAL, known={"known"}, now=NOW + timedelta(minutes=after)
    )
    assert evidence.result is result
