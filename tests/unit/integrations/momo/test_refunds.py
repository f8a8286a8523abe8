"""Refunds through MoMo: the request, and the meaning of each answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.methods import GatewayName
from domain.payment_evidence import GatewayResult
from integrations.gateways import Gateways
from integrations.http.client import Upstream
from integrations.momo.gateway import MoMo
from tests.support.gateways import counterpart as acts
from tests.support.gateways.counterpart import Counterpart, says
from tests.support.gateways.dialects import NOW, REFERENCE, attempt, reversal
from tests.support.gateways.momo import PARTNER, MoMoDialect, momo_signature
from tests.support.gateways.vectors import MOMO_RESULT_CODES

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


def test_momo_can_refund(momo: MoMo) -> None:
    assert Gateways([momo]).refunding(GatewayName.MOMO) is momo


async def test_a_refund_has_momos_number_of_the_payment_and_our_own_id(
    momo: MoMo, counterpart: Counterpart
) -> None:
    counterpart.will(says(DONE))
    evidence = await refund(momo)
    assert (evidence.result, evidence.gateway_id) == (GatewayResult.PAID, "4088878699")
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


@pytest.mark.parametrize("code", [code for code in MOMO_RESULT_CODES if code])
async def test_a_code_is_a_decline_only_where_nothing_is_refunded(
    momo: MoMo, counterpart: Counterpart, code: int
) -> None:
    counterpart.will(says(OURS.heading(code, REVERSAL.id), 400))
    evidence = await refund(momo)
    declined = code in {10, 11, 12, 13, 20, 21, 22, 42, 45, 47, 1080, 1081, 1088}
    assert evidence.result is (GatewayResult.DECLINED if declined else GatewayResult.UNKNOWN)
    assert (evidence.failure is not None) is declined


@pytest.mark.parametrize(
    "wrong", [{"amount": 1}, {"orderId": "REV_2"}, {"partnerCode": "ANOTHER"}, {"resultCode": 7000}]
)
async def test_an_answer_about_another_refund_is_unknown(
    momo: MoMo, counterpart: Counterpart, wrong: dict[str, Any]
) -> None:
    counterpart.will(says(DONE | wrong))
    assert (await refund(momo)).result is GatewayResult.UNKNOWN


@pytest.mark.parametrize("silence", [acts.silence, acts.reset, acts.server_error, acts.half_json])
async def test_silence_is_unknown_and_a_refund_is_sent_once(
    momo: MoMo, counterpart: Counterpart, silence: Any
) -> None:
    counterpart.always(silence)
    assert (await refund(momo)).result is GatewayResult.UNKNOWN
    assert len(counterpart.seen) == 1


@pytest.mark.parametrize(
    ("lines", "minutes", "result"),
    [
        ([LINE], 0, GatewayResult.PAID),
        ([LINE | {"orderId": "REV_2", "transId": 1}, LINE], 0, GatewayResult.PAID),
        ([LINE | {"transId": 4088878699.0}], 0, GatewayResult.PAID),
        ([LINE | {"transId": "4088878699"}], 0, GatewayResult.PAID),
        ([LINE | {"resultCode": 1088}], 0, GatewayResult.DECLINED),
        ([LINE | {"resultCode": 7002}], 60, GatewayResult.UNKNOWN),
        ([LINE | {"amount": 1}], 60, GatewayResult.UNKNOWN),
        ([LINE, LINE], 60, GatewayResult.UNKNOWN),
        ([LINE | {"orderId": "REV_2"}], 4, GatewayResult.UNKNOWN),
        ([LINE | {"orderId": "REV_2"}], 5, GatewayResult.UNPAID),
        ([], 5, GatewayResult.UNPAID),
        (None, 60, GatewayResult.UNKNOWN),
        ([{"orderId": REVERSAL.id}], 60, GatewayResult.UNKNOWN),
    ],
)
async def test_an_inquiry_finds_our_refund_among_those_of_the_order(
    momo: MoMo, counterpart: Counterpart, lines: Any, minutes: int, result: GatewayResult
) -> None:
    counterpart.will(says(OURS.heading(0) | {"refundTrans": lines}))
    evidence = await momo.inquire_refund(
        PAID, REVERSAL, known=(), now=NOW + timedelta(minutes=minutes)
    )
    assert evidence.result is result


async def test_an_inquiry_that_failed_is_unknown(momo: MoMo, counterpart: Counterpart) -> None:
    for answer in (OURS.heading(13), OURS.heading(0, "TXN2"), OURS.heading(42)):
        counterpart.will(says(answer | {"refundTrans": [LINE]}))
        evidence = await momo.inquire_refund(PAID, REVERSAL, known=(), now=NOW + timedelta(hours=1))
        assert evidence.result is GatewayResult.UNKNOWN
