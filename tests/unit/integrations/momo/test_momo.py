"""MoMo to the letter: its computed examples, every code of its table, and one step in which money moves."""

from dataclasses import replace
from typing import Any

import pytest

from domain.gateways import BadCall, Call, Verdict
from domain.money import Money
from domain.payment_evidence import GatewayResult
from integrations.http.client import Upstream
from integrations.momo import protocol
from integrations.momo.gateway import MoMo
from tests.support.gateways import counterpart as they
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import (
    NOW,
    ORDER,
    REFERENCE,
    attempt,
    fail_at_two_orders,
    told_by,
)
from tests.support.gateways.momo import PARTNER, SECRET_KEY, MoMoDialect, momo_ipn, momo_signature
from tests.support.gateways.table import case
from tests.support.gateways.vectors import MOMO_RESULT_CODES, VECTORS

EXAMPLES: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in VECTORS["momo"]}

OURS = MoMoDialect()


@pytest.fixture
def momo(http: Upstream) -> MoMo:
    return OURS.gateway(http)


@pytest.mark.parametrize("id", EXAMPLES)
def test_every_example_is_spelled_and_signed_as_computed(id: str) -> None:
    example = EXAMPLES[id]
    text = protocol.canonical(example["input"], example["field_order"])
    assert text == example["canonical"]
    assert protocol.sign(example["secret"], text) == example["expected"]
    assert protocol.is_signed(["another", example["secret"]], text, example["expected"].upper())
    assert not protocol.is_signed(["another"], text, example["expected"])
    assert not protocol.is_signed([example["secret"]], text + " ", example["expected"])


@pytest.mark.parametrize(
    ("order", "id"),
    [
        (protocol.CREATE, "momo-create"),
        (protocol.IPN, "momo-ipn-success"),
        (protocol.QUERY, "momo-query"),
        (protocol.REFUND, "momo-refund"),
    ],
)
def test_the_orders_of_the_signed_fields_are_those_of_the_document(
    order: tuple[str, ...], id: str
) -> None:
    assert list(order) == EXAMPLES[id]["field_order"] == sorted(order)


def published(http: Upstream) -> MoMo:
    example = EXAMPLES["momo-ipn-success"]
    return MoMo(
        http,
        partner_code="MOMO",
        access_key=example["input"]["accessKey"],
        secret_keys=[example["secret"]],
    )


def as_called(id: str, **other: Any) -> Call:
    """The body of an example; the access key is known to both and stands in none."""
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


def test_the_example_of_a_paid_ipn_is_believed_and_answered_204(http: Upstream) -> None:
    momo = published(http)
    (notice,) = momo.read_webhook(as_called("momo-ipn-success"))
    assert notice.reference == "TXN20250729000001"
    assert notice.event_id == "TXN20250729000001:4088878653:0:200000"
    assert notice.evidence
    assert (notice.evidence.result, notice.evidence.money) == (GatewayResult.PAID, Money(200_000))
    reply = momo.answer(Verdict.ACCEPTED)
    assert (reply.status, reply.body) == (EXAMPLES["momo-ipn-success"]["answer"], b"")


def test_the_example_of_a_denied_ipn_is_a_decline_in_words(http: Upstream) -> None:
    said = told_by(published(http), as_called("momo-ipn-user-denied"))
    assert said.result is GatewayResult.DECLINED
    assert said.failure
    assert said.failure.code == "1006"


@pytest.mark.parametrize(
    "other",
    [{"amount": 200_001}, {"resultCode": 1006}, {"orderId": "TXN2"}, {"message": "Successful"}],
)
def test_an_example_that_was_changed_on_the_way_is_refused(
    http: Upstream, other: dict[str, Any]
) -> None:
    with pytest.raises(BadCall, match="signature"):
        published(http).read_webhook(as_called("momo-ipn-success", **other))


async def test_a_request_holds_what_the_document_asks_for_and_is_signed(
    momo: MoMo, counterpart: Counterpart
) -> None:
    counterpart.will(OURS.accepts())
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
    told = signed | {"signature": momo_signature(signed), "autoCapture": True, "lang": "vi"}
    assert seen.json == told
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
async def test_a_description_can_not_be_taken_for_another_field_of_what_is_signed(
    momo: MoMo, counterpart: Counterpart, description: str, sent: str
) -> None:
    counterpart.will(OURS.accepts())
    await momo.start(attempt(), replace(ORDER, description=description), now=NOW)
    assert counterpart.seen[0].json["orderInfo"] == sent


def test_a_call_that_could_be_read_in_two_ways_is_refused_though_it_is_signed(momo: MoMo) -> None:
    """The same signed text, cut elsewhere, would be about another order."""
    told = OURS.event(0, orderInfo="a&orderId=MB1&orderInfo=b")
    with pytest.raises(BadCall, match="two ways"):
        momo.read_webhook(momo_ipn(told))


@pytest.mark.parametrize("amount", [999, 50_000_001])
async def test_an_amount_that_momo_does_not_take_is_declined_unsent(
    momo: MoMo, counterpart: Counterpart, amount: int
) -> None:
    evidence = await momo.start(attempt(amount=amount), ORDER, now=NOW)
    assert evidence.result is GatewayResult.DECLINED
    assert not counterpart.seen


@case("every class of code", "MoMo")
@pytest.mark.parametrize("code", MOMO_RESULT_CODES)
async def test_only_a_refusal_of_what_was_asked_declines_a_request(
    momo: MoMo, counterpart: Counterpart, code: int
) -> None:
    counterpart.will(says(OURS.heading(code), 200 if code == 0 else 400))
    found = (await momo.start(attempt(), ORDER, now=NOW)).result
    # Accepted without an address to pay by is not known. Said while an earlier request of ours may be
    # alive (40–43), of a failed QR or of nothing (98, 99), of a refund, or while MoMo is not done.
    unsure = {0, 40, 41, 42, 43, 98, 99, 1000, 1005, 1080, 1081, 1088, 7000, 7002, 8000, 9000}
    assert found is (GatewayResult.UNKNOWN if code in unsure else GatewayResult.DECLINED)


async def test_a_repeat_that_meets_the_first_one_in_flight_is_unknown(
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
    ids=["another order", "another order's no", "no web address", "another partner", "not MoMo"],
)
async def test_an_answer_that_is_not_about_this_request_is_unknown(
    momo: MoMo, counterpart: Counterpart, answer: dict[str, Any]
) -> None:
    counterpart.will(says(answer))
    assert (await momo.start(attempt(), ORDER, now=NOW)).result is GatewayResult.UNKNOWN


async def test_a_wrong_access_is_no_word_about_a_payment_that_is_asked_for(
    momo: MoMo, counterpart: Counterpart
) -> None:
    for code in (10, 11, 13, 20, 40, 99):
        counterpart.will(OURS.tells_code(code))
        assert (await momo.inquire(attempt(), now=NOW)).result is GatewayResult.UNKNOWN


FINDINGS = {
    **dict.fromkeys(MOMO_RESULT_CODES, GatewayResult.UNKNOWN),
    **dict.fromkeys([1001, 1002, 1003, 1004, 1006, 1007, 1017, 1026], GatewayResult.DECLINED),
    **dict.fromkeys([4001, 4002, 4100], GatewayResult.DECLINED),
    **dict.fromkeys([0, 9000], GatewayResult.PAID),
    **dict.fromkeys([42, 1000], GatewayResult.UNPAID),
    1005: GatewayResult.EXPIRED,
}


@case("every class of code", "MoMo")
@pytest.mark.parametrize(("code", "result"), FINDINGS.items())
async def test_every_code_says_the_same_in_an_answer_and_in_a_call(
    momo: MoMo, counterpart: Counterpart, code: int, result: GatewayResult
) -> None:
    counterpart.will(OURS.tells_code(code))
    asked = await momo.inquire(attempt(), now=NOW)
    assert asked.result is result
    assert told_by(momo, momo_ipn(OURS.event(code))).result is result


async def test_a_question_is_signed_and_never_the_same_twice(
    momo: MoMo, counterpart: Counterpart
) -> None:
    counterpart.always(OURS.tells("paid"))
    await momo.inquire(attempt(), now=NOW)
    await momo.inquire(attempt(), now=NOW.replace(microsecond=1))
    one, two = (seen.json for seen in counterpart.seen)
    assert one["requestId"] != two["requestId"]
    assert len(one["requestId"]) <= 50
    assert one["signature"] == momo_signature(one)
    assert counterpart.seen[0].path == "/v2/gateway/api/query"


@pytest.mark.parametrize("amount", [200_000.5, "2e5", "200.000", True, None, -1])
async def test_an_amount_that_is_no_whole_number_is_paid_with_no_money(
    momo: MoMo, counterpart: Counterpart, amount: Any
) -> None:
    counterpart.will(OURS.tells_code(0, amount=amount))
    asked = await momo.inquire(attempt(), now=NOW)
    assert (asked.result, asked.money) == (GatewayResult.PAID, None)


@pytest.mark.parametrize("amount", [200_000.5, "200.000", -1])
def test_a_call_with_such_an_amount_is_believed_and_has_no_money(momo: MoMo, amount: Any) -> None:
    said = told_by(momo, momo_ipn(OURS.event(0, amount=amount)))
    assert (said.result, said.money) == (GatewayResult.PAID, None)


def test_two_keys_verify_while_one_is_being_changed(momo: MoMo) -> None:
    for key in (SECRET_KEY, "the-old-one"):
        assert momo.read_webhook(momo_ipn(OURS.event(0), key))
    with pytest.raises(BadCall, match="signature"):
        momo.read_webhook(momo_ipn(OURS.event(0), "a-third"))


def test_a_call_for_another_partner_is_refused(momo: MoMo) -> None:
    with pytest.raises(BadCall, match="partner"):
        momo.read_webhook(momo_ipn(OURS.event(0, partnerCode="ANOTHER")))


@pytest.mark.parametrize("name", ["amount", "orderId", "resultCode", "transId", "message"])
@pytest.mark.parametrize("value", [None, True, [], {}])
def test_a_field_of_another_kind_is_refused(momo: MoMo, name: str, value: object) -> None:
    with pytest.raises(BadCall, match=name):
        momo.read_webhook(momo_ipn(OURS.event(0, **{name: value})))


async def test_a_server_error_of_momo_counts_against_it(
    momo: MoMo, counterpart: Counterpart
) -> None:
    counterpart.always(they.server_error)
    await fail_at_two_orders(momo)
    assert not momo.ready()
