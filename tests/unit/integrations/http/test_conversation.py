"""Evidence that our columns cannot hold is unknown, and our own faults are no declines."""

from __future__ import annotations

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
from tests.support.gateways.dialects import NOW, ORDER, Dialect, attempt
from tests.support.gateways.fpt_pay import FPTPayDialect
from tests.support.gateways.momo import MoMoDialect
from tests.support.gateways.paypal import PayPalDialect
from tests.support.gateways.stripe import StripeDialect
from tests.support.gateways.vnpay import VNPayDialect

STORABLE = Evidence(
    source=EvidenceSource.INQUIRY,
    origin="a gateway",
    result=GatewayResult.ACCEPTED,
    gateway_id="1" * 128,
    payment_url="https://pay.example.vn/1",
    qr_payload="0" * 2331,
    failure=Failure(code="1" * 64, message="Thẻ bị từ chối."),
)
UNSTORABLE: list[dict[str, Any]] = [
    {"gateway_id": "1" * 129},
    {"gateway_id": "1\x002"},
    {"payment_url": "https://pay.example.vn/" + "1" * 4000},
    {"qr_payload": "0" * 2332},
    {"qr_payload": "é" * 1200},
    {"qr_payload": "0\x00"},
    {"failure": Failure(code="1" * 65, message="no")},
    {"failure": Failure(code="1", message="\x00")},
]


async def call_returning(evidence: Evidence) -> Evidence:
    await asyncio.sleep(0)
    return evidence


async def test_storable_evidence_is_returned_unchanged() -> None:
    assert await evidence_of_charge(GatewayName.MOMO, "it", call_returning(STORABLE)) == STORABLE
    assert await evidence_of_inquiry("it", call_returning(STORABLE)) == STORABLE
    assert STORABLE.qr_payload
    assert qr_image(STORABLE.qr_payload)


@pytest.mark.parametrize("changes", UNSTORABLE)
async def test_unstorable_evidence_is_unknown(changes: dict[str, Any]) -> None:
    evidence = replace(STORABLE, **changes)
    for result in (
        await evidence_of_charge(GatewayName.MOMO, "it", call_returning(evidence)),
        await evidence_of_inquiry("it", call_returning(evidence)),
    ):
        assert (result.result, result.source, result.gateway_id) == (
            GatewayResult.UNKNOWN,
            None,
            None,
        )


async def test_an_id_that_is_too_long_is_unknown(http: Upstream, counterpart: Counterpart) -> None:
    response = {
        "payment_id": "9" * 500,
        "payment_url": "https://pay.fptpay.vn/1",
        "status": "pending",
    }
    counterpart.will(says(response))
    wallet = FPTPayDialect().gateway(http)
    evidence = await wallet.start(attempt(GatewayName.FPT_PAY), ORDER, now=NOW)
    assert evidence.result is GatewayResult.UNKNOWN


@pytest.mark.parametrize("payload", ["0002\x00", "0" * 2400])
async def test_a_qr_that_cannot_be_shown_is_unknown(
    http: Upstream, counterpart: Counterpart, payload: str
) -> None:
    counterpart.will(says({"code": "00", "message": "Success", "qrcontent": payload}))
    evidence = await VNPayDialect().gateway(http).start(attempt(), ORDER, now=NOW)
    assert evidence.result is GatewayResult.UNKNOWN


OUR_FAULTS = [
    (StripeDialect(), says({"error": {"type": "invalid_request_error"}}, 401)),
    (StripeDialect(), says({"error": {"type": "invalid_request_error"}}, 403)),
    (
        StripeDialect(),
        says({"error": {"type": "invalid_request_error", "code": "rate_limit"}}, 429),
    ),
    *[(PayPalDialect(), says({"name": "NOT_AUTHORIZED"}, status)) for status in (401, 403, 429)],
    (PayPalDialect(), says({"error": "invalid_token"}, 401)),
    *[
        (MoMoDialect(), says({"resultCode": code, "message": ""}, 400))
        for code in (10, 11, 12, 13, 20)
    ],
    *[
        (VNPayDialect(), says({"code": code, "message": "", "qrcontent": ""}))
        for code in ("02", "03", "97")
    ],
]


@pytest.mark.parametrize(("dialect", "act"), OUR_FAULTS)
async def test_our_own_fault_is_logged_and_names_no_reason_of_the_customer(
    http: Upstream, counterpart: Counterpart, dialect: Dialect, act: Act
) -> None:
    """Nothing was started: staff get an alternative, and operators the reason."""
    counterpart.will(act)
    with capture_logs() as logs:
        evidence = await dialect.gateway(http).start(attempt(dialect.name), ORDER, now=NOW)
    assert (evidence.result, evidence.source) == (GatewayResult.DECLINED, EvidenceSource.INQUIRY)
    assert evidence.failure
    assert evidence.failure.code == "GATEWAY_UNAVAILABLE"
    assert [line["log_level"] for line in logs if line["event"] == "gateway_refuses_us"] == [
        "error"
    ]


async def test_a_refused_amount_is_a_decline_with_its_own_code(
    http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.will(says({"code": "93", "message": "", "qrcontent": ""}))
    evidence = await VNPayDialect().gateway(http).start(attempt(), ORDER, now=NOW)
    assert evidence.failure
    assert (evidence.result, evidence.failure.code) == (GatewayResult.DECLINED, "93")
