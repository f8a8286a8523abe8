"""A gateway that says nothing or cannot be reached, and an API that dies: nothing is sent twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from tests.support.stack.books import Books
from tests.support.stack.client import Client, a_key
from tests.support.stack.customers import Customer, new_collector, new_customer, the_open_one
from tests.support.stack.outside import ONCE, Json, Sandbox, equals, eventually
from tests.support.stack.processes import Process, Stack, free_ports, started

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def cut_off(stack: Stack) -> Iterator[Process]:
    """An API that finds nobody where VNPAY should be."""
    process = stack.api("cut off", VNPAY__URL=f"http://127.0.0.1:{free_ports(1)[0]}")
    with started(process):
        yield process


@dataclass(frozen=True, slots=True)
class Crashed:
    collector: Client
    customer: Customer
    payment: Json
    replayed: Json


@pytest.fixture(scope="module")
async def crashed(stack: Stack) -> AsyncIterator[Crashed]:
    """An API was killed between sending to the gateway and its answer, and the client asked again."""
    collector = await new_collector(stack)
    customer = await new_customer(collector, bills=1)
    ask = partial(collector_asks, customer, key=a_key())
    doomed = stack.api("doomed")
    async with Sandbox(stack.sandbox_url) as sandbox:
        await sandbox.breaks(
            "vnpay", "slow", times=1, after_processing=True, seconds=20, path=customer.contract
        )
        with started(doomed):
            asking = asyncio.create_task(ask(collector.at(doomed.url)))
            payment = await eventually(lambda: the_open_one(collector, customer.contract))
            await eventually(lambda: sandbox.charge(payment["gatewayReference"]))
            doomed.kill()
            with pytest.raises(httpx.HTTPError):
                await asking
            doomed.start()
            doomed.wait_until_it_answers()
            replayed = await ask(collector.at(doomed.url))
        await sandbox.pays(reference=payment["gatewayReference"], drop_webhook=True)
    async with collector:
        yield Crashed(collector, customer, payment, replayed)


async def collector_asks(customer: Customer, api: Client, *, key: str) -> Json:
    return await api.process(customer.contract, "VNPAY_QR", customer.bills[0], key=key)


async def test_after_a_crash_the_same_key_is_the_payment_that_was_sent(
    crashed: Crashed, sandbox: Sandbox
) -> None:
    assert crashed.replayed["replayed"] is True
    assert crashed.replayed["errors"] == []
    assert crashed.replayed["payment"]["id"] == crashed.payment["id"]
    assert crashed.replayed["payment"]["status"] == "PROCESSING"
    truth = await sandbox.truth()
    charges = [charge["reference"] for charge in truth["charges"]]
    assert charges.count(crashed.payment["gatewayReference"]) == 1


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
        lambda: collector.payment(payment["id"]), lambda now: now["version"] > payment["version"]
    )
    assert (known["status"], known["qr"]) == ("PROCESSING", None)
    assert known["needsVerification"] is True, "unpaid, but there is nothing left to scan"

    cancelled = await collector.ask("CancelPayment", id=payment["id"], reason="Không thấy mã QR")
    assert cancelled["errors"] == []
    assert cancelled["payment"]["status"] == "CANCELLED"
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), ONCE)
    asked = (await sandbox.requests("vnpay", since=before))["requests"]
    assert [item["fault"] for item in asked].count("reset") == 1
    truth = await sandbox.truth()
    reference = (await collector.office_view(payment["id"]))["gatewayReference"]
    assert [charge["reference"] for charge in truth["charges"]].count(reference) == 1


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


async def test_after_a_crash_the_worker_finds_out_that_it_was_paid(
    crashed: Crashed, sandbox: Sandbox, books: Books
) -> None:
    """Half a minute after the crash; the stories above are told meanwhile."""
    await eventually(
        lambda: crashed.collector.payment(crashed.payment["id"]),
        lambda now: now["status"] == "SUCCESS",
        within=60,
    )
    await equals(lambda: sandbox.effects(crashed.payment["id"]), ONCE)
    assert await books.payments(crashed.customer.contract) == ["SUCCESS"]
