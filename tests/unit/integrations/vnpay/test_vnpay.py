"""VNPay's requests and answers: the printed and computed examples, and its uncertain answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from domain.money import Currency, Money
from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.vnpay import protocol
from integrations.vnpay.gateway import VNPay
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, ORDER, REFERENCE, attempt, start_five_payments
from tests.support.gateways.signing import vnpay_signature
from tests.support.gateways.table import case
from tests.support.gateways.vectors import VECTORS
from tests.support.gateways.vnpay import SECRET, TERMINAL, VNPayDialect

EXAMPLES: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["vnpay"]}
OURS = VNPayDialect()


@pytest.fixture
def vnpay(http: Upstream) -> VNPay:
    return OURS.gateway(http)


@pytest.mark.parametrize("id", EXAMPLES)
def test_every_example_has_the_printed_signature(id: str) -> None:
    example = EXAMPLES[id]
    if "field_order" in example:
        assert (
            protocol.signed_pipe_text(example["input"], example["field_order"])
            == example["canonical"]
        )
    elif "input" in example:
        assert protocol.signed_query_text(example["input"]) == example["canonical"]
    secret, text, expected = example["secret"], example["canonical"], example["expected"]
    assert protocol.sign(secret, text) == expected
    assert protocol.is_signed(["another", secret], text, expected.upper())
    assert not protocol.is_signed([secret], text, example.get("presented", "0" * 128))


def test_the_orders_of_the_signed_fields_are_those_of_the_document() -> None:
    assert list(protocol.QUERY_FIELDS) == EXAMPLES["vnpay-querydr-request"]["field_order"]
    assert list(protocol.QUERY_ANSWER_FIELDS) == EXAMPLES["vnpay-querydr-response"]["field_order"]


def test_our_request_for_a_qr_is_the_example_byte_for_byte(vnpay: VNPay) -> None:
    example = EXAMPLES["vnpay-genqr-url"]
    expected = f"{example['canonical']}&vnp_SecureHash={example['expected']}"
    assert vnpay.payment(attempt(), ORDER) == expected


async def test_a_payment_on_vnpays_page_is_the_example_byte_for_byte_and_sends_nothing(
    http: Upstream, counterpart: Counterpart
) -> None:
    page = "https://vnpay.example.vn/paymentv2/vpcpay.html"
    vnpay = VNPay(http, tmn_code=TERMINAL, hash_secrets=[SECRET], page=page)
    example = EXAMPLES["vnpay-pay-url-vnpayqr"]
    counterpart.always(acts.server_error)
    for _ in range(6):
        evidence = await vnpay.start(attempt(), ORDER, now=NOW)
    assert evidence.result is GatewayResult.ACCEPTED
    expected = f"{page}?{example['canonical']}&vnp_SecureHash={example['expected']}"
    assert (evidence.payment_url, evidence.qr_payload) == (expected, None)
    assert not counterpart.seen
    assert vnpay.ready(), "no request is sent, so no breaker opens"


async def test_two_hundred_thousand_dong_are_sent_as_twenty_million(
    vnpay: VNPay, counterpart: Counterpart
) -> None:
    counterpart.will(OURS.acceptance())
    evidence = await vnpay.start(attempt(), ORDER, now=NOW)
    assert "vnp_Amount=20000000&" in counterpart.seen[0].query
    assert evidence.qr_payload == "00020101021226…"
    assert (counterpart.seen[0].method, counterpart.seen[0].path) == (
        "GET",
        "/paymentv2/vpcpay.html",
    )


def test_accents_and_unusual_letters_are_not_sent(vnpay: VNPay) -> None:
    order = replace(ORDER, description="Cước* tháng 6~ <HĐ> #1 & 2", client_ip="unknown address")
    fields = dict(parse_qsl(vnpay.payment(attempt(), order)))
    assert fields["vnp_OrderInfo"] == "Cuoc thang 6 HD 1 2"
    assert fields["vnp_IpAddr"] == "127.0.0.1"


async def test_an_amount_with_too_many_digits_is_declined_unsent(
    vnpay: VNPay, counterpart: Counterpart
) -> None:
    evidence = await vnpay.start(attempt(amount=10_000_000_000), ORDER, now=NOW)
    assert evidence.result is GatewayResult.DECLINED
    assert not counterpart.seen


async def test_a_reference_that_vnpay_already_has_is_unknown_because_a_qr_may_exist(
    vnpay: VNPay, counterpart: Counterpart
) -> None:
    counterpart.will(says({"code": "94", "message": "duplicate", "qrcontent": ""}))
    assert (await vnpay.start(attempt(), ORDER, now=NOW)).result is GatewayResult.UNKNOWN


async def test_an_acceptance_without_a_qr_is_unknown(
    vnpay: VNPay, counterpart: Counterpart
) -> None:
    counterpart.will(says({"code": "00", "message": "Success", "qrcontent": ""}))
    assert (await vnpay.start(attempt(), ORDER, now=NOW)).result is GatewayResult.UNKNOWN


async def test_an_inquiry_is_signed_has_the_requests_date_and_a_new_id_each_time(
    vnpay: VNPay, counterpart: Counterpart
) -> None:
    counterpart.always(OURS.inquiry_answer("paid"))
    await vnpay.inquire(attempt(), now=NOW)
    await vnpay.inquire(attempt(), now=NOW.replace(microsecond=1))
    first, second = (seen.json for seen in counterpart.seen)
    assert first["vnp_TransactionDate"] == "20250729101500"
    assert first["vnp_CreateDate"] == "20250729102000"
    assert first["vnp_RequestId"] != second["vnp_RequestId"]
    assert len(first["vnp_RequestId"]) == 32
    order = EXAMPLES["vnpay-querydr-request"]["field_order"]
    assert first["vnp_SecureHash"] == vnpay_signature(
        SECRET, "|".join(first[name] for name in order)
    )
    assert counterpart.seen[0].path == "/merchant_webapi/api/transaction"


async def test_the_example_of_an_inquiry_is_trusted(vnpay: VNPay, counterpart: Counterpart) -> None:
    example = EXAMPLES["vnpay-querydr-response"]
    counterpart.will(says(example["input"] | {"vnp_SecureHash": example["expected"]}))
    evidence = await vnpay.inquire(attempt(), now=NOW)
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, Money(200_000))
    assert evidence.gateway_id == "15099001"


@case("every class of code", "VNPay")
@pytest.mark.parametrize(
    ("status", "result"),
    [
        ("00", GatewayResult.PAID),
        ("01", GatewayResult.UNPAID),
        ("02", GatewayResult.DECLINED),
        ("04", GatewayResult.SUSPICIOUS),
        ("07", GatewayResult.SUSPICIOUS),
        ("05", GatewayResult.UNKNOWN),
        ("20", GatewayResult.UNKNOWN),
        ("", GatewayResult.UNKNOWN),
    ],
)
async def test_the_outcome_of_an_inquiry_is_the_transactions_status(
    vnpay: VNPay, counterpart: Counterpart, status: str, result: GatewayResult
) -> None:
    fields = OURS.inquiry_fields(
        "paid", reference=REFERENCE, amount=200_000, vnp_TransactionStatus=status
    )
    counterpart.will(says(fields))
    assert (await vnpay.inquire(attempt(), now=NOW)).result is result


async def test_an_error_after_the_deadline_is_an_expired_qr(
    vnpay: VNPay, counterpart: Counterpart
) -> None:
    counterpart.always(OURS.inquiry_answer("expired"))
    late = attempt().expires_at
    assert (await vnpay.inquire(attempt(), now=late)).result is GatewayResult.EXPIRED
    assert (await vnpay.inquire(attempt(), now=NOW)).result is GatewayResult.DECLINED


@case("every class of code", "VNPay")
@pytest.mark.parametrize("code", ["02", "03", "94", "97", "99", ""])
async def test_an_inquiry_with_an_error_code_is_unknown(
    vnpay: VNPay, counterpart: Counterpart, code: str
) -> None:
    fields = OURS.inquiry_fields("paid", reference=REFERENCE, amount=200_000, vnp_ResponseCode=code)
    counterpart.will(says(fields))
    assert (await vnpay.inquire(attempt(), now=NOW)).result is GatewayResult.UNKNOWN


@pytest.mark.parametrize(
    "other",
    [{"vnp_TmnCode": "OTHERTMN"}, {"vnp_TransactionType": "02"}],
    ids=["another terminal", "a refund"],
)
async def test_a_signed_answer_to_another_inquiry_is_unknown(
    vnpay: VNPay, counterpart: Counterpart, other: dict[str, str]
) -> None:
    counterpart.will(
        says(OURS.inquiry_fields("paid", reference=REFERENCE, amount=200_000, **other))
    )
    assert (await vnpay.inquire(attempt(), now=NOW)).result is GatewayResult.UNKNOWN


async def test_an_answer_with_a_changed_amount_is_unknown(
    vnpay: VNPay, counterpart: Counterpart
) -> None:
    fields = OURS.inquiry_fields("paid", reference=REFERENCE, amount=200_000)
    counterpart.will(says(fields | {"vnp_Amount": "100"}))
    assert (await vnpay.inquire(attempt(), now=NOW)).result is GatewayResult.UNKNOWN


async def test_another_currency_is_a_programming_error(vnpay: VNPay) -> None:
    with pytest.raises(AssertionError):
        await vnpay.start(replace(attempt(), money=Money(1, Currency.USD)), ORDER, now=NOW)


async def test_a_failing_gateway_is_not_ready(vnpay: VNPay, counterpart: Counterpart) -> None:
    counterpart.always(acts.server_error)
    await start_five_payments(vnpay)
    assert not vnpay.ready()


def test_the_secrets_of_this_test_are_invented() -> None:
    assert SECRET.startswith("SIM")
    assert TERMINAL.startswith("SIM")
