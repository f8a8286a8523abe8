"""A gateway that says nothing, or cannot be reached: nothing is believed, nothing sent twice."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.journeys.client import ONCE, Client, Sandbox, a_key, equals, eventually
from tests.journeys.conftest import Customer
from tests.journeys.stack import Process, Stack, free_ports, started

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def cut_off(stack: Stack) -> Iterator[Process]:
    """An API that finds nobody where VNPAY should be."""
    process = stack.api("cut off", VNPAY__URL=f"http://127.0.0.1:{free_ports(1)[0]}")
    with started(process):
        yield process


async def test_a_charge_that_the_gateway_took_in_silence_is_found_by_asking(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    key, bill = a_key(), customer.bills[0]
    await sandbox.breaks("vnpay", "timeout", times=1, after_processing=True, path=customer.contract)

    began = time.monotonic()
    payment = await collector.pay(customer.contract, "VNPAY_QR", bill, key=key)
    assert time.monotonic() - began < 25
    assert payment["status"] == "PROCESSING"
    assert payment["needsVerification"] is True
    reference = (await collector.office_view(payment["id"]))["gatewayReference"]
    await sandbox.pays(reference=reference, drop_webhook=True)

    settled = await eventually(
        lambda: collector.payment(payment["id"]), lambda now: now["status"] == "SUCCESS"
    )

    assert settled["needsVerification"] is False
    await equals(lambda: sandbox.effects(payment["id"]), ONCE)
    again = await collector.process(customer.contract, "VNPAY_QR", bill, key=key)
    assert (again["replayed"], again["payment"]["status"]) == (True, "SUCCESS")


async def test_a_qr_that_was_lost_on_the_way_is_not_asked_for_again_and_can_be_cancelled(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    bill = customer.bills[0]
    before = (await sandbox.requests("vnpay"))["last"]
    await sandbox.breaks("vnpay", "reset", times=1, after_processing=True, path=customer.contract)

    payment = await collector.pay(customer.contract, "VNPAY_QR", bill)
    assert payment["status"] == "PROCESSING"
    assert payment["needsVerification"] is True
    known = await eventually(
        lambda: collector.payment(payment["id"]), lambda now: not now["needsVerification"]
    )
    assert known["status"] == "PROCESSING"

    cancelled = await collector.ask("CancelPayment", id=payment["id"], reason="Không thấy mã QR")
    assert cancelled["errors"] == []
    assert cancelled["payment"]["status"] == "CANCELLED"
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), ONCE)
    asked = (await sandbox.requests("vnpay", since=before))["requests"]
    assert [one["fault"] for one in asked].count("reset") == 1
    truth = await sandbox.truth()
    reference = (await collector.office_view(payment["id"]))["gatewayReference"]
    assert [one["reference"] for one in truth["charges"]].count(reference) == 1


async def test_a_gateway_that_cannot_be_reached_fails_the_payment_and_frees_the_bill(
    collector: Client, customer: Customer, cut_off: Process
) -> None:
    bill = customer.bills[0]

    payload = await collector.at(cut_off.url).process(customer.contract, "VNPAY_QR", bill)

    if payload["payment"] is not None:
        assert payload["payment"]["status"] == "FAILED"
        assert payload["payment"]["failure"]["message"]
    (refusal,) = payload["errors"]
    assert refusal["code"] == "GATEWAY_UNAVAILABLE"
    assert refusal["gateway"] == "VNPAY"
    assert "CASH" in refusal["alternatives"]
    assert "VNPAY_QR" not in refusal["alternatives"]
    assert (await collector.bills(customer.contract))[bill["billNumber"]]["lock"] is None
    assert (await collector.pay(customer.contract, "CASH", bill))["status"] == "SUCCESS"


async def test_a_gateway_that_stays_away_is_asked_no_more_and_refused_at_once(
    collector: Client, customers, cut_off: Process
) -> None:
    customer = await customers(1)
    api = collector.at(cut_off.url)

    async def refused_at_once() -> bool:
        began = time.monotonic()
        payload = await api.process(customer.contract, "VNPAY_QR", customer.bills[0])
        assert [error["code"] for error in payload["errors"]] == ["GATEWAY_UNAVAILABLE"]
        assert payload["errors"][0]["alternatives"]
        return payload["payment"] is None and time.monotonic() - began < 1

    await eventually(refused_at_once)
