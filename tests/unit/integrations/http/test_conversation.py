"""What is said in a conversation is kept, or it was not said: no answer of a gateway may be a fault of ours."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain.attempts import Failure
from domain.methods import GatewayName
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.http.client import Upstream
from integrations.http.conversation import evidence_of_charge, evidence_of_inquiry
from schema.payments import qr_image
from tests.support.gateways.counterpart import Act, Counterpart, says
from tests.support.gateways.dialects import (
    NOW,
    ORDER,
    Dialect,
    FPTPayDialect,
    VNPayDialect,
    attempt,
)
from tests.support.gateways.momo import MoMoDialect
from tests.support.gateways.paypal import PayPalDialect
from tests.support.gateways.stripe import StripeDialect

SAID = Evidence(
    source=EvidenceSource.INQUIRY,
    origin="a gateway",
    result=GatewayResult.ACCEPTED,
    gateway_id="1" * 128,
    payment_url="https://pay.example.vn/1",
    qr_payload="0" * 2331,
    failure=Failure(code="1" * 64, message="Thẻ bị từ chối."),
)
UNKEPT: list[dict[str, Any]] = [
    {"gateway_id": "1" * 129},
    {"gateway_id": "1\x002"},
    {"payment_url": "https://pay.example.vn/" + "1" * 4000},
    {"qr_payload": "0" * 2332},
    {"qr_payload": "é" * 1200},
    {"qr_payload": "0\x00"},
    {"failure": Failure(code="1" * 65, message="no")},
    {"failure": Failure(code="1", message="\x00")},
]


async def _said(evidence: Evidence) -> Evidence:
    await asyncio.sleep(0)
    return evidence


async def test_what_can_be_kept_is_passed_on_as_it_was_said() -> None:
    assert await evidence_of_charge(GatewayName.MOMO, "it", _said(SAID)) == SAID
    assert await evidence_of_inquiry("it", _said(SAID)) == SAID
    assert SAID.qr_payload
    assert qr_image(SAID.qr_payload)


@pytest.mark.parametrize("but", UNKEPT)
async def test_what_cannot_be_kept_was_not_said(but: dict[str, Any]) -> None:
    evidence = replace(SAID, **but)
    for told in (
        await evidence_of_charge(GatewayName.MOMO, "it", _said(evidence)),
        await evidence_of_inquiry("it", _said(evidence)),
    ):
        assert (told.result, told.source, told.gateway_id) == (GatewayResult.UNKNOWN, None, None)


async def test_an_endless_number_of_the_wallet_is_no_answer(
    http: Upstream, counterpart: Counterpart
) -> None:
    given = {"payment_id": "9" * 500, "payment_url": "https://pay.fptpay.vn/1", "status": "pending"}
    counterpart.will(says(given))
    wallet = FPTPayDialect().gateway(http)
    told = await wallet.start(attempt(GatewayName.FPT_PAY), ORDER, now=NOW)
    assert told.result is GatewayResult.UNKNOWN


@pytest.mark.parametrize("payload", ["0002\x00", "0" * 2400])
async def test_a_qr_of_vnpay_that_nobody_can_show_is_no_answer(
    http: Upstream, counterpart: Counterpart, payload: str
) -> None:
    counterpart.will(says({"code": "00", "message": "Success", "qrcontent": payload}))
    told = await VNPayDialect().gateway(http).start(attempt(), ORDER, now=NOW)
    assert told.result is GatewayResult.UNKNOWN


AT_FAULT = [
    (StripeDialect(), says({"error": {"type": "invalid_request_error"}}, 401)),
    (StripeDialect(), says({"error": {"type": "invalid_request_error"}}, 403)),
    (StripeDialect(), says({"error": {"type": "invalid_request_error", "code": "rate_limit"}}, 429)),
    *[(PayPalDialect(), says({"name": "NOT_AUTHORIZED"}, status)) for status in (401, 403, 429)],
    (PayPalDialect(), says({"error": "invalid_token"}, 401)),
    *[(MoMoDialect(), says({"resultCode": code, "message": ""}, 400)) for code in (10, 11, 12, 13, 20)],
    *[
        (VNPayDialect(), says({"code": code, "message": "", "qrcontent": ""}))
        for code in ("02", "03", "97")
    ],
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "act"), AT_FAULT)
async def test_what_is_ours_to_mend_is_not_put_down_to_the_customer(
    http: Upstream, counterpart: Counterpart, dialect: Dialect, act: Act
) -> None:
    """Nothing was begun; whoever stands at the door is told to use something else, and we are told why."""
    counterpart.will(act)
    with capture_logs() as logs:
        told = await dialect.gateway(http).start(attempt(dialect.name), ORDER, now=NOW)
    assert (told.result, told.source) == (GatewayResult.DECLINED, EvidenceSource.INQUIRY)
    assert told.failure
    assert told.failure.code == "GATEWAY_UNAVAILABLE"
    assert [line["log_level"] for line in logs if line["event"] == "gateway_refuses_us"] == [
        "error"
    ]


async def test_an_amount_that_a_gateway_does_not_take_is_said_as_such(
    http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.will(says({"code": "93", "message": "", "qrcontent": ""}))
    told = await VNPayDialect().gateway(http).start(attempt(), ORDER, now=NOW)
    assert told.failure
    assert (told.result, told.failure.code) == (GatewayResult.DECLINED, "93")
