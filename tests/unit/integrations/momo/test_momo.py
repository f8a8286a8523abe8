"""MoMo's requests, answers and calls: the computed examples, and every documented code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from domain.gateways import BadCall, Call, Verdict
from domain.money import Money
from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.momo import protocol
from integrations.momo.gateway import MoMo
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import (
    NOW,
    ORDER,
    REFERENCE,
    attempt,
    evidence_of_call,
    start_five_payments,
)
from tests.support.gateways.momo import PARTNER, SECRET_KEY, MoMoDialect, momo_ipn, momo_signature
from tests.support.gateways.table import case
from tests.support.gateways.vectors import MOMO_RESULT_CODES, VECTORS

EXAMPLES: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["momo"]}

OURS = MoMoDialect()
ISSUED = "MB01K1ABCDEFGH234567"  # a reference of the form that we issue


@pytest.fixture
def momo(http: Upstream) -> MoMo:
    return OURS.gateway(http)


@pytest.mark.parametrize("id", EXAMPLES)
def test_every_example_has_the_computed_text_and_signature(id: str) -> None:
    example = EXAMPLES[id]
    text = protocol.signed_text(example["input"], example["field_order"])
    assert text == example["canonical"]
    assert protocol.sign(example["secret"], text) == example["expected"]
    assert protocol.is_signed(["another", example["secret"]], text, example["expected"].upper())
    assert not protocol.is_signed(["another"], text, example["expected"])
    assert not protocol.is_signed([example["secret"]], text + " ", example["expected"])


@pytest.mark.parametrize(
    ("order", "id"),
    [
        (protocol.CREATE_FIELDS, "momo-create"),
        (protocol.IPN_FIELDS, "momo-ipn-success"),
        (protocol.QUERY_FIELDS, "momo-query"),
        (protocol.REFUND_FIELDS, "momo-refund"),
    ],
)
def test_the_orders_of_the_signed_fields_are_those_of_the_document(
    order: tuple[str, ...], id: str
) -> None:
    assert list(order) == EXAMPLES[id]["field_order"] == sorted(order)


def example_momo(http: Upstream) -> MoMo:
    example = EXAMPLES["momo-ipn-success"]
    return MoMo(
        http,
        partner_code="MOMO",
        access_key=example["input"]["accessKey"],
        secret_keys=[example["secret"]],
    )


def example_call(id: str, **other: Any) -> Call:
    """Return a call with an example's body, which never holds the access key."""
    example = EXAMPLES[id]
    fields = example["input"] | {"signature": example["expected"]} | other
    del fields["accessKey"]
    call = momo_ipn(fields)
    return Call(
        method="POST",
        query="",
        headers=call.headers,
        body=call.body.replace(momo_signature(fields).encode(), fields["signature"].encode()),
        received_at=NOW,
    )


def test_the_example_of_a_paid_ipn_is_trusted_and_answered_204(http: Upstream) -> None:
    momo = example_momo(http)
    (notice,) = momo.read_webhook(example_call("momo-ipn-success"))
    assert notice.reference == "TXN20250729000001"
    assert notice.event_id == "TXN20250729000001:4088878653:0:200000"
    assert notice.evidence
    assert (notice.evidence.result, notice.evidence.money) == (GatewayResult.PAID, Money(200_000))
    reply = momo.answer(Verdict.ACCEPTED)
    assert (reply.status, reply.body) == (EXAMPLES["momo-ipn-success"]["answer"], b"")


def test_the_example_of_a_denied_ipn_is_a_decline_with_a_sentence(http: Upstream) -> None:
    evidence = evidence_of_call(example_momo(http), example_call("momo-ipn-user-denied"))
    assert evidence.result is GatewayResult.DECLINED
    assert evidence.failure
    assert evidence.failure.code == "1006"


@pytest.mark.parametrize(
    "other",
    [{"amount": 200_001}, {"resultCode": 1006}, {"orderId": "TXN2"}, {"message": "Successful"}],
)
def test_a_changed_example_is_refused(http: Upstream, other: dict[str, Any]) -> None:
    with pytest.raises(BadCall, match="signature"):
        example_momo(http).read_webhook(example_call("momo-ipn-success", **other))


async def test_a_request_has_the_documented_fields_and_a_signature(
    momo: MoMo, counterpart: Counterpart
) -> None:
    counterpart.will(OURS.acceptance())
    evidence = await momo.start(attempt(), ORDER, now=NOW)
    (seen,) = counterpart.seen
    assert (seen.method, seen.path) == ("POST", "/v2/gateway/api/create")
    signed = {
        "partnerCode": PARTNER,
        "requestId": REFERENCE,
        "orderId": REFERENCE,
        "amount": 200_000,
        "orderInfo": ORDER.description,
        "redirectUrl": ORDER.return_url,
        "ipnUrl": ORDER.notify_url,
        "requestType": "captureWallet",
        "extraData": "",
    }
    body = signed | {"signature": momo_signature(signed), "autoCapture": True, "lang": "vi"}
    assert seen.json == body
    assert "accessKey" not in seen.json
    assert evidence.payment_url == "https://test-payment.momo.vn/v2/pay?t=abc"
    assert evidence.qr_payload == "momo://app?1"


@pytest.mark.parametrize(
    ("description", "sent"),
    [
        ("Cước tháng 6 = 200k & phí", "Cước tháng 6 200k phí"),
        ("a&orderId=MB1&orderInfo=b", "a orderId MB1 orderInfo b"),
        ("&=&", REFERENCE),
        ("đ" * 300, "đ" * 255),
    ],
)
async def test_a_description_cannot_pass_for_another_signed_field(
    momo: MoMo, counterpart: Counterpart, description: str, sent: str
) -> None:
    counterpart.will(OURS.acceptance())
    await momo.start(attempt(), replace(ORDER, description=description), now=NOW)
    assert counterpart.seen[0].json["orderInfo"] == sent


def test_a_signed_call_that_can_be_read_in_two_ways_reports_no_money(momo: MoMo) -> None:
    """Cut in another way, the same signed text would be about another order."""
    fields = OURS.event(0, orderInfo="a&orderId=4711&orderInfo=b") | {"orderId": "4712"}
    (notice,) = momo.read_webhook(momo_ipn(fields))
    assert (notice.reference, notice.evidence, notice.named) == (None, None, "4712")
    assert notice.problem == "what is signed can be read in two ways"


@pytest.mark.parametrize(("order", "inserted"), [("4711", ISSUED), (ISSUED, "4711")])
def test_a_signed_call_that_could_name_an_order_of_ours_is_refused(
    momo: MoMo, order: str, inserted: str
) -> None:
    fields = OURS.event(0, orderInfo=f"a&orderId={inserted}&orderInfo=b") | {"orderId": order}
    with pytest.raises(BadCall, match="two ways"):
        momo.read_webhook(momo_ipn(fields))


@pytest.mark.parametrize("amount", [999, 50_000_001])
async def test_an_amount_outside_the_limits_is_declined_unsent(
    momo: MoMo, counterpart: Counterpart, amount: int
) -> None:
    evidence = await momo.start(attempt(amount=amount), ORDER, now=NOW)
    assert evidence.result is GatewayResult.DECLINED
    assert not counterpart.seen


@case("every class of code", "MoMo")
@pytest.mark.parametrize("code", MOMO_RESULT_CODES)
async def test_only_a_refusal_of_the_request_declines_it(
    momo: MoMo, counterpart: Counterpart, code: int
) -> None:
    counterpart.will(says(OURS.heading(code), 200 if code == 0 else 400))
    result = (await momo.start(attempt(), ORDER, now=NOW)).result
    # UNKNOWN: an acceptance without a page; codes that may come while another request is processed
    # (40–43); a failed QR or nothing definite (98, 99); codes of refunds; and MoMo is not done.
    uncertain = {0, 40, 41, 42, 43, 98, 99, 1000, 1005, 1080, 1081, 1088, 7000, 7002, 8000, 9000}
    assert result is (GatewayResult.UNKNOWN if code in uncertain else GatewayResult.DECLINED)


async def test_a_repeat_of_a_request_in_process_is_unknown(
    momo: MoMo, counterpart: Counterpart
) -> None:
    counterpart.will(says(OURS.heading(7000), 422))
    assert (await momo.start(attempt(), ORDER, now=NOW)).result is GatewayResult.UNKNOWN


@pytest.mark.parametrize(
    "answer",
    [
        OURS.heading(0, "TXN20250729000002") | {"payUrl": "https://momo.vn/pay"},
        OURS.heading(22, "TXN20250729000002"),
        OURS.heading(0) | {"payUrl": "javascript:alert(1)"},
        OURS.heading(0) | {"payUrl": "https://momo.vn/pay", "partnerCode": "ANOTHER"},
        {"error": {"code": "WALLET_LOCKED"}},
    ],
    ids=[
        "another order",
        "another order's refusal",
        "no web address",
        "another partner",
        "not MoMo",
    ],
)
async def test_an_answer_that_is_not_about_this_request_is_unknown(
    momo: MoMo, counterpart: Counterpart, answer: dict[str, Any]
) -> None:
    counterpart.will(says(answer))
    assert (await momo.start(attempt(), ORDER, now=NOW)).result is GatewayResult.UNKNOWN


async def test_an_error_about_our_access_decides_nothing_about_a_payment(
    momo: MoMo, counterpart: Counterpart
) -> None:
    for code in (10, 11, 13, 20, 40, 99):
        counterpart.will(OURS.code_answer(code))
        assert (await momo.inquire(attempt(), now=NOW)).result is GatewayResult.UNKNOWN


RESULTS = {
    **dict.fromkeys(MOMO_RESULT_CODES, GatewayResult.UNKNOWN),
    **dict.fromkeys([1001, 1002, 1003, 1004, 1006, 1007, 1017, 1026], GatewayResult.DECLINED),
    **dict.fromkeys([4001, 4002, 4100], GatewayResult.DECLINED),
    **dict.fromkeys([0, 9000], GatewayResult.PAID),
    **dict.fromkeys([42, 1000], GatewayResult.UNPAID),
    1005: GatewayResult.EXPIRED,
}


@case("every class of code", "MoMo")
@pytest.mark.parametrize(("code", "result"), RESULTS.items())
async def test_every_code_means_the_same_in_an_answer_and_in_a_call(
    momo: MoMo, counterpart: Counterpart, code: int, result: GatewayResult
) -> None:
    counterpart.will(OURS.code_answer(code))
    evidence = await momo.inquire(attempt(), now=NOW)
    assert evidence.result is result
    assert evidence_of_call(momo, momo_ipn(OURS.event(code))).result is result


async def test_an_inquiry_is_signed_and_has_a_new_id_each_time(
    momo: MoMo, counterpart: Counterpart
) -> None:
    counterpart.always(OURS.inquiry_answer("paid"))
    await momo.inquire(attempt(), now=NOW)
    await momo.inquire(attempt(), now=NOW.replace(microsecond=1))
    first, second = (seen.json for seen in counterpart.seen)
    assert first["requestId"] != second["requestId"]
    assert len(first["requestId"]) <= 50
    assert first["signature"] == momo_signature(first)
    assert counterpart.seen[0].path == "/v2/gateway/api/query"


@pytest.mark.parametrize("amount", [200_000.5, "2e5", "200.000", True, None, -1])
async def test_an_unreadable_amount_in_an_answer_is_paid_without_money(
    momo: MoMo, counterpart: Counterpart, amount: Any
) -> None:
    counterpart.will(OURS.code_answer(0, amount=amount))
    evidence = await momo.inquire(attempt(), now=NOW)
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, None)


@pytest.mark.parametrize("amount", [200_000.5, "200.000", -1])
def test_an_unreadable_amount_in_a_call_is_paid_without_money(momo: MoMo, amount: Any) -> None:
    evidence = evidence_of_call(momo, momo_ipn(OURS.event(0, amount=amount)))
    assert (evidence.result, evidence.money) == (GatewayResult.PAID, None)


@pytest.mark.parametrize("number", [4088878653, 4088878653.0, "4088878653", "4088878653.00"])
def test_momos_number_is_the_same_in_every_notation(momo: MoMo, number: Any) -> None:
    assert evidence_of_call(momo, momo_ipn(OURS.event(0, transId=number))).gateway_id == (
        "4088878653"
    )


@pytest.mark.parametrize("number", [0, "0", 4088878653.5, "4.1e9", "", "-7", "TX 1"])
def test_a_number_that_cannot_be_momos_is_no_number(momo: MoMo, number: Any) -> None:
    evidence = evidence_of_call(momo, momo_ipn(OURS.event(0, transId=number)))
    assert (evidence.result, evidence.gateway_id) == (GatewayResult.PAID, None)


def test_both_keys_verify_during_a_rotation(momo: MoMo) -> None:
    for key in (SECRET_KEY, "the-old-one"):
        assert momo.read_webhook(momo_ipn(OURS.event(0), key))
    with pytest.raises(BadCall, match="signature"):
        momo.read_webhook(momo_ipn(OURS.event(0), "a-third"))


def test_a_call_for_another_partner_is_refused(momo: MoMo) -> None:
    with pytest.raises(BadCall, match="partner"):
        momo.read_webhook(momo_ipn(OURS.event(0, partnerCode="ANOTHER")))


@pytest.mark.parametrize("name", ["amount", "orderId", "resultCode", "transId", "message"])
@pytest.mark.parametrize("value", [None, True, [], {}])
def test_a_field_of_another_type_is_refused(momo: MoMo, name: str, value: object) -> None:
    with pytest.raises(BadCall, match=name):
        momo.read_webhook(momo_ipn(OURS.event(0, **{name: value})))


async def test_server_errors_open_the_breaker(momo: MoMo, counterpart: Counterpart) -> None:
    counterpart.always(acts.server_error)
    await start_five_payments(momo)
    assert not momo.ready()
