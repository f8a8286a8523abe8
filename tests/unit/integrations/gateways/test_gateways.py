"""The behaviour that all gateways share, and their registry."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from domain.gateways import Gateway, GatewayUnavailable
from domain.methods import GATEWAY_OF, GatewayName, PaymentMethod
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from integrations.gateways import Gateways
from integrations.http.client import Timeouts, Upstream
from tests.support.gateways import counterpart as acts
from tests.support.gateways.all_dialects import CALLERS, DIALECTS
from tests.support.gateways.counterpart import SILENCES, Act, Counterpart
from tests.support.gateways.dialects import (
    NOW,
    ORDER,
    REFERENCE,
    Dialect,
    attempt,
    requested_money,
    seen_reference,
    start_five_payments,
)
from tests.support.gateways.momo import MoMoDialect
from tests.support.gateways.table import case

ROWS = {"a timeout": "timeout after processing", "a reset": "reset", "a 500": "500"}
silences = pytest.mark.parametrize(
    "silence",
    [
        pytest.param(act, id=name, marks=case(ROWS.get(name, "truncated")))
        for name, act in SILENCES.items()
    ],
)


@pytest.fixture(params=DIALECTS, ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    return request.param


@pytest.fixture
def gateway(dialect: Dialect, http: Upstream) -> Gateway:
    return dialect.gateway(http)


async def start(gateway: Gateway) -> Evidence:
    return await gateway.start(attempt(gateway.name), ORDER, now=NOW)


async def inquire(gateway: Gateway) -> Evidence:
    return await gateway.inquire(attempt(gateway.name), now=NOW)


# Payments


@case("success")
async def test_an_accepted_request_has_a_qr_or_a_page(
    gateway: Gateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.will(dialect.acceptance())
    evidence = await start(gateway)
    assert evidence.result is GatewayResult.ACCEPTED
    assert evidence.qr_payload or evidence.payment_url
    assert seen_reference(counterpart.seen[0]) == REFERENCE


@case("decline")
async def test_a_decline_has_a_code_and_a_sentence(
    gateway: Gateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.will(dialect.decline())
    evidence = await start(gateway)
    assert evidence.result is GatewayResult.DECLINED
    assert evidence.failure
    assert evidence.failure.code
    assert evidence.failure.message
    assert gateway.ready()


@silences
async def test_silence_after_sending_is_unknown_and_a_charge_is_sent_once(
    gateway: Gateway, counterpart: Counterpart, silence: Act
) -> None:
    counterpart.always(silence)
    evidence = await start(gateway)
    assert evidence.result is GatewayResult.UNKNOWN
    assert evidence.failure is None
    assert len(counterpart.seen) == 1


@case("timeout before processing")
async def test_a_request_that_was_never_read_is_unknown(
    gateway: Gateway, counterpart: Counterpart
) -> None:
    counterpart.reads_nothing = True
    assert (await start(gateway)).result is GatewayResult.UNKNOWN


@case("slowness")
@pytest.mark.parametrize("operation", [start, inquire])
async def test_an_endless_answer_is_given_up_in_time(
    dialect: Dialect, counterpart: Counterpart, operation: Callable[[Gateway], Awaitable[Evidence]]
) -> None:
    counterpart.always(acts.endless_answer)
    http = Upstream("slow", counterpart.url, timeouts=Timeouts(connect=0.5, read=0.3, total=0.5))
    async with asyncio.timeout(60):  # the answer never ends: the client gives up after 0.5 s
        assert (await operation(dialect.gateway(http))).result is GatewayResult.UNKNOWN
    await http.aclose()


@case("never opened")
async def test_a_failed_connection_is_not_connected(
    gateway: Gateway, counterpart: Counterpart
) -> None:
    await counterpart.close()
    evidence = await start(gateway)
    assert evidence.result is GatewayResult.NOT_CONNECTED
    assert evidence.failure


@pytest.mark.parametrize("status", [408, 409, 425, 302])
async def test_an_indefinite_status_is_unknown(
    gateway: Gateway, counterpart: Counterpart, status: int
) -> None:
    counterpart.will(acts.says({}, status))
    assert (await start(gateway)).result is GatewayResult.UNKNOWN


async def test_five_silences_stop_payments_but_not_inquiries(
    gateway: Gateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.will(*[acts.server_error] * 5, dialect.inquiry_answer("paid"))
    await start_five_payments(gateway)
    assert not gateway.ready()
    with pytest.raises(GatewayUnavailable) as refusal:
        await start(gateway)
    assert refusal.value.gateway is gateway.name
    assert refusal.value.retry_after_ms
    assert (await inquire(gateway)).result is GatewayResult.PAID


async def test_declines_never_stop_payments(
    gateway: Gateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.always(dialect.decline())
    for _ in range(6):
        assert (await start(gateway)).result is GatewayResult.DECLINED


# Inquiries


@case("every class of code")
@pytest.mark.parametrize(
    ("outcome", "result"),
    [
        ("paid", GatewayResult.PAID),
        ("pending", GatewayResult.UNPAID),
        ("declined", GatewayResult.DECLINED),
    ],
)
async def test_an_inquiry_has_the_result_of_the_reference(
    gateway: Gateway,
    dialect: Dialect,
    counterpart: Counterpart,
    outcome: str,
    result: GatewayResult,
) -> None:
    counterpart.will(dialect.inquiry_answer(outcome))
    evidence = await inquire(gateway)
    assert (evidence.result, evidence.source) == (result, EvidenceSource.INQUIRY)
    if result is GatewayResult.PAID:
        assert evidence.money == requested_money(gateway.name)
        assert evidence.gateway_id == dialect.gateway_id


@case("wrong amount")
async def test_an_inquiry_has_the_amount_that_was_paid(
    gateway: Gateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.will(dialect.inquiry_answer("paid", amount=150_000))
    assert (await inquire(gateway)).money == requested_money(gateway.name, 150_000)


@case("unknown reference")
async def test_an_unknown_reference_is_unpaid(
    gateway: Gateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.always(dialect.unknown_reference())
    assert (await inquire(gateway)).result is GatewayResult.UNPAID


async def test_an_answer_about_another_reference_is_unknown(
    gateway: Gateway, dialect: Dialect, counterpart: Counterpart
) -> None:
    counterpart.will(dialect.inquiry_answer("paid", reference="TXN20250729000002"))
    assert (await inquire(gateway)).result is GatewayResult.UNKNOWN


@silences
async def test_an_inquiry_without_an_answer_is_unknown(
    gateway: Gateway, counterpart: Counterpart, silence: Act
) -> None:
    counterpart.always(silence)
    assert (await inquire(gateway)).result is GatewayResult.UNKNOWN


@case("never opened")
async def test_an_inquiry_that_was_not_sent_is_unknown(
    gateway: Gateway, counterpart: Counterpart
) -> None:
    await counterpart.close()
    for _ in range(3):  # at the last one the breaker is open
        assert (await inquire(gateway)).result is GatewayResult.UNKNOWN


async def test_a_404_of_a_proxy_is_unknown(gateway: Gateway, counterpart: Counterpart) -> None:
    counterpart.always(acts.says(b"<html>404</html>", 404))
    assert (await inquire(gateway)).result is GatewayResult.UNKNOWN


# The registry


@pytest.fixture
def gateways(http: Upstream) -> Gateways:
    return Gateways([dialect.gateway(http) for dialect in CALLERS])


def test_a_gateway_is_found_by_the_path_that_it_calls(gateways: Gateways) -> None:
    assert gateways.by_path("vnpay") is gateways[GatewayName.VNPAY]
    assert gateways.by_path("fpt-pay") is gateways[GatewayName.FPT_PAY]
    for path in ("bank/casso", "bank/sepay"):
        assert gateways.by_path(path) is gateways[GatewayName.BANK]
    for path in ("unknown", "bank", "bank/", "vnpay/casso", ""):
        assert gateways.by_path(path) is None


def test_a_gateway_is_found_by_the_method(gateways: Gateways) -> None:
    for method in PaymentMethod:
        gateway = gateways.for_method(method)
        assert gateway is None or gateway.name is GATEWAY_OF[method]
    assert gateways.for_method(PaymentMethod.CASH) is None


async def test_a_route_takes_the_first_gateway_that_is_ready(
    http: Upstream, address: Counterpart, counterpart: Counterpart
) -> None:
    """The choice is made before anything is sent."""
    other = Upstream("other", address.url, timeouts=Timeouts(connect=0.5, read=0.3, total=2.0))
    gateways = {dialect.name: dialect.gateway(http) for dialect in DIALECTS}
    momo = MoMoDialect().gateway(other)
    route = {PaymentMethod.VNPAY_QR: (GatewayName.VNPAY, GatewayName.MOMO)}
    routed = Gateways([gateways[GatewayName.VNPAY], momo], route)

    def chosen() -> GatewayName:
        gateway = routed.for_method(PaymentMethod.VNPAY_QR)
        assert gateway is not None
        return gateway.name

    assert chosen() is GatewayName.VNPAY
    counterpart.always(acts.server_error)
    await start_five_payments(routed[GatewayName.VNPAY])
    assert chosen() is GatewayName.MOMO
    await start_five_payments(routed[GatewayName.MOMO])
    assert chosen() is GatewayName.VNPAY  # whose refusal names the alternatives
    await other.aclose()


async def test_alternatives_are_the_ready_methods_and_cash_comes_first(
    gateways: Gateways, counterpart: Counterpart
) -> None:
    cash, transfer = PaymentMethod.CASH, PaymentMethod.BANK_TRANSFER
    others = [method for method in PaymentMethod if gateways.for_method(method)]
    others.remove(PaymentMethod.VNPAY_QR)
    assert gateways.alternatives(PaymentMethod.VNPAY_QR) == (cash, *others)
    counterpart.always(acts.server_error)
    await start_five_payments(gateways[GatewayName.VNPAY])
    assert gateways.alternatives(PaymentMethod.CASH) == (transfer,), (
        "a bank transfer sends no requests"
    )
    assert gateways.alternatives(PaymentMethod.FPT_PAY) == (cash, transfer)


def test_every_adapter_is_in_this_suite() -> None:
    tested = {dialect.name for dialect in CALLERS}
    packages = {
        path.parent.name for path in (Path(__file__).parents[4] / "integrations").glob("*/*.py")
    }
    assert tested == {name for name in GatewayName if name.value.lower() in packages}


def test_only_vnpay_limits_how_often_we_inquire(
    gateways: Gateways,
) -> None:
    assert gateways[GatewayName.VNPAY].inquiry_interval == timedelta(minutes=5).total_seconds()
    assert not any(gateway.revocable for gateway in gateways.values())
