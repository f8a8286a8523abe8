"""Giving money back by MoMo: what is sent, and what an answer is worth."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.methods import GatewayName
from domain.payment_evidence import Finding
from integrations.gateways import Gateways
from integrations.http.client import Upstream
from integrations.momo.gateway import MoMo
from tests.support.gateways import counterpart as they
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, REFERENCE, attempt, reversal
from tests.support.gateways.momo import PARTNER, MoMoDialect, momo_signature
from tests.unit.integrations.momo.test_momo import CODES

OURS = MoMoDialect()
PAID = replace(attempt(GatewayName.MOMO), gateway_id=OURS.gateway_id)
REVERSAL = reversal(GatewayName.MOMO)
DONE = OURS.heading(0, REVERSAL.id) | {"amount": 50_000, "transId": 4088878699}
LINE = {"orderId": REVERSAL.id, "amount": 50_000, "transId": 4088878699, "resultCode": 0}


@pytest.fixture
def momo(http: Upstream) -> MoMo:
    return OURS.gateway(http)


async def refund(momo: MoMo) -> Any:
    return await momo.refund(PAID, REVERSAL, whole=False, now=NOW)


def test_momo_is_one_of_those_that_pay_out(momo: MoMo) -> None:
    assert Gateways([momo]).paying_out(GatewayName.MOMO) is momo


async def test_a_refund_names_the_payment_by_momos_number_and_itself_by_ours(
    momo: MoMo, counterpart: Counterpart
) -> None:
    counterpart.will(says(DONE))
    evidence = await refund(momo)
    assert (evidence.finding, evidence.gateway_id) == (Finding.PAID, "4088878699")
    (seen,) = counterpart.seen
    assert seen.path == "/v2/gateway/api/refund"
    signed = {
        "partnerCode": PARTNER,
        "requestId": REVERSAL.id,
        "orderId": REVERSAL.id,
        "amount": 50_000,
        "transId": int(OURS.gateway_id),
        "description": f"Hoan tien GD {REFERENCE}",
    }
    assert seen.json == signed | {"signature": momo_signature(signed), "lang": "vi"}


@pytest.mark.parametrize("code", [code for code in CODES if code])
async def test_a_code_is_a_no_only_where_nothing_is_given_back(
    momo: MoMo, counterpart: Counterpart, code: int
) -> None:
    counterpart.will(says(OURS.heading(code, REVERSAL.id), 400))
    evidence = await refund(momo)
    no = code in {10, 11, 12, 13, 20, 21, 22, 42, 45, 47, 1080, 1081, 1088}
    assert evidence.finding is (Finding.DECLINED if no else Finding.UNKNOWN)
    assert (evidence.failure is not None) is no


@pytest.mark.parametrize(
    "wrong", [{"amount": 1}, {"orderId": "REV_2"}, {"partnerCode": "ANOTHER"}, {"resultCode": 7000}]
)
async def test_an_answer_about_something_else_says_nothing(
    momo: MoMo, counterpart: Counterpart, wrong: dict[str, Any]
) -> None:
    counterpart.will(says(DONE | wrong))
    assert (await refund(momo)).finding is Finding.UNKNOWN


@pytest.mark.parametrize("silence", [they.silence, they.reset, they.server_error, they.half_json])
async def test_silence_is_unknown_and_a_refund_is_sent_once(
    momo: MoMo, counterpart: Counterpart, silence: Any
) -> None:
    counterpart.always(silence)
    assert (await refund(momo)).finding is Finding.UNKNOWN
    assert len(counterpart.seen) == 1


@pytest.mark.parametrize(
    ("lines", "minutes", "finding"),
    [
        ([LINE], 0, Finding.PAID),
        ([LINE | {"orderId": "REV_2", "transId": 1}, LINE], 0, Finding.PAID),
        ([LINE | {"resultCode": 1088}], 0, Finding.DECLINED),
        ([LINE | {"resultCode": 7002}], 60, Finding.UNKNOWN),
        ([LINE | {"amount": 1}], 60, Finding.UNKNOWN),
        ([LINE, LINE], 60, Finding.UNKNOWN),
        ([LINE | {"orderId": "REV_2"}], 4, Finding.UNKNOWN),
        ([LINE | {"orderId": "REV_2"}], 5, Finding.UNPAID),
        ([], 5, Finding.UNPAID),
        (None, 60, Finding.UNKNOWN),
        ([{"orderId": REVERSAL.id}], 60, Finding.UNKNOWN),
    ],
)
async def test_a_question_finds_our_refund_among_those_of_the_order(
    momo: MoMo, counterpart: Counterpart, lines: Any, minutes: int, finding: Finding
) -> None:
    counterpart.will(says(OURS.heading(0) | {"refundTrans": lines}))
    evidence = await momo.inquire_refund(
        PAID, REVERSAL, known=(), now=NOW + timedelta(minutes=minutes)
    )
    assert evidence.finding is finding


async def test_a_question_that_did_not_work_says_nothing(
    momo: MoMo, counterpart: Counterpart
) -> None:
    for told in (OURS.heading(13), OURS.heading(0, "TXN2"), OURS.heading(42)):
        counterpart.will(says(told | {"refundTrans": [LINE]}))
        evidence = await momo.inquire_refund(PAID, REVERSAL, known=(), now=NOW + timedelta(hours=1))
        assert evidence.finding is Finding.UNKNOWN
