"""The behaviour that all refunding gateways share."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from domain.gateways import GatewayUnavailable, RefundingGateway
from domain.methods import GatewayName
from domain.payment_evidence import EvidenceSource, GatewayResult
from integrations.gateways import Gateways
from integrations.http.client import Timeouts, Upstream
from tests.support.gateways import counterpart as acts
from tests.support.gateways.all_dialects import CALLERS, DIALECTS
from tests.support.gateways.counterpart import SILENCES, Act, Counterpart, Seen
from tests.support.gateways.dialects import NOW, REFUND, Dialect, attempt, reversal
from tests.support.gateways.table import case

silences = pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


@pytest.fixture
def gateway(dialect: Dialect, http: Upstream) -> RefundingGateway:
    return refunding(dialect, http)


def refunding(dialect: Dialect, http: Upstream) -> RefundingGateway:
    gateway = dialect.gateway(http)
    assert isinstance(gateway, RefundingGateway)
    return gateway


async def refund(gateway: RefundingGateway, dialect: Dialect) -> Any:
    paid = replace(attempt(gateway.name), gateway_id=dialect.gateway_id)
    return await gateway.refund(paid, reversal(gateway.name), whole=False, now=NOW)


async def inquire(gateway: RefundingGateway, dialect: Dialect) -> Any:
    paid = replace(attempt(gateway.name), gateway_id=dialect.gateway_id)
    return await gateway.inquire_refund(paid, reversal(gateway.name), known=(), now=NOW)


def has_our_id(seen: Seen) -> bool:
    """Return whether a request has our id of the refund; VNPay's has no underscore."""
    text = seen.body.decode() + str(dict(seen.headers))
    return REFUND.replace("_", "") in text.replace("_", "")


@case("refund")
async def test_a_refund_is_paid_under_its_own_number_and_our_id(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.will(dialect.refund_answer(reversal(gateway.name).gateway_money.amount))
    evidence = await refund(gateway, dialect)
    assert (evidence.result, evidence.source) == (GatewayResult.PAID, EvidenceSource.INQUIRY)
    assert evidence.gateway_id
    assert evidence.gateway_id != dialect.gateway_id, "it is the refund's own"
    (seen,) = counterpart.seen
    assert has_our_id(seen)


@case("refund")
async def test_an_answer_about_another_amount_is_unknown(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.will(dialect.refund_answer(reversal(gateway.name).gateway_money.amount - 1))
    assert (await refund(gateway, dialect)).result is GatewayResult.UNKNOWN


@case("refund declined")
async def test_declines_have_a_code_and_a_sentence_and_stop_no_refunds(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.always(dialect.refund_decline())
    for _ in range(6):
        evidence = await refund(gateway, dialect)
        assert evidence.result is GatewayResult.DECLINED
        assert evidence.failure.code
        assert evidence.failure.message


@case("refund unanswered")
@silences
async def test_silence_is_unknown_and_a_refund_is_sent_once(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart, silence: Act
) -> None:
    counterpart.always(silence)
    evidence = await refund(gateway, dialect)
    assert (evidence.result, evidence.failure) == (GatewayResult.UNKNOWN, None)
    assert len(counterpart.seen) == 1


@case("refund unanswered")
@silences
async def test_an_inquiry_without_an_answer_is_unknown(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart, silence: Act
) -> None:
    counterpart.always(silence)
    assert (await inquire(gateway, dialect)).result is GatewayResult.UNKNOWN


@case("refund unanswered")
async def test_a_request_that_was_never_read_is_unknown(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.reads_nothing = True
    assert (await refund(gateway, dialect)).result is GatewayResult.UNKNOWN


@case("refund unanswered")
@pytest.mark.parametrize("operation", [refund, inquire])
async def test_an_endless_answer_is_given_up_in_time(
    dialect: Dialect, counterpart: Counterpart, operation: Any
) -> None:
    counterpart.always(acts.endless_answer)
    http = Upstream("slow", counterpart.url, timeouts=Timeouts(connect=0.5, read=0.3, total=0.5))
    async with asyncio.timeout(60):  # the answer never ends: the client gives up after 0.5 s
        assert (await operation(refunding(dialect, http), dialect)).result is GatewayResult.UNKNOWN
    await http.aclose()


@case("refund unanswered")
async def test_a_failed_connection_is_not_connected_and_an_inquiry_is_unknown(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    await counterpart.close()
    assert (await refund(gateway, dialect)).result is GatewayResult.NOT_CONNECTED
    assert (await inquire(gateway, dialect)).result is GatewayResult.UNKNOWN


@case("refund unanswered")
@pytest.mark.parametrize("status", [408, 425, 302])
async def test_an_indefinite_status_is_unknown(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart, status: int
) -> None:
    counterpart.will(acts.says({}, status))
    assert (await refund(gateway, dialect)).result is GatewayResult.UNKNOWN


async def test_five_silences_stop_refunds_but_not_payments_and_inquiries(
    gateway: RefundingGateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.always(acts.server_error)
    other = replace(attempt(gateway.name), reference="MB2", gateway_id=dialect.gateway_id)
    other_reversal = replace(reversal(gateway.name), id="REV_2", reference=other.reference)
    await gateway.refund(other, other_reversal, whole=False, now=NOW)
    for _ in range(4):
        await refund(gateway, dialect)
    with pytest.raises(GatewayUnavailable):
        await refund(gateway, dialect)
    assert gateway.ready()
    sent = len(counterpart.seen)
    await inquire(gateway, dialect)
    assert len(counterpart.seen) > sent


def test_only_the_bank_does_not_refund(http: Upstream) -> None:
    gateways = Gateways([dialect.gateway(http) for dialect in CALLERS])
    without_refunds = {name for name in GatewayName if gateways.refunding(name) is None}
    assert without_refunds == {GatewayName.BANK}
