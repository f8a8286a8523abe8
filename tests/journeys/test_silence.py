"""A gateway that does not answer, and an API that dies: nothing is sent twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import pytest

from tests.support.stack.client import Client, new_key
from tests.support.stack.customers import Customer, new_collector, new_customer, open_payment_of
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.processes import Process, Stack, free_ports, started
from tests.support.stack.sandbox import EFFECTS_ONCE, Json, Sandbox
from tests.support.stack.waiting import equals, eventually

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def api_without_vnpay(stack: Stack) -> Iterator[Process]:
    """Run an API that finds no server at VNPay's address."""
    process = stack.api("api_without_vnpay", VNPAY__URL=f"http://127.0.0.1:{free_ports(1)[0]}")
    with started(process):
        yield process


@dataclass(frozen=True, slots=True)
class CrashedPayment:
    collector: Client
    customer: Customer
    payment: Json
    replayed: Json


@pytest.fixture(scope="module")
async def crashed(stack: Stack) -> AsyncIterator[CrashedPayment]:
    """Kill an API between its request to the gateway and the answer; the client repeats."""
    collector = await new_collector(stack)
    customer = await new_customer(collector, bills=1)
    send = partial(send_qr_request, customer, key=new_key())
    killed = stack.api("killed")
    async with Sandbox(stack.sandbox_url) as sandbox:
        await sandbox.order_fault(
            "vnpay", "slow", times=1, after_processing=True, seconds=20, path=customer.contract
        )
        with started(killed):
            request = asyncio.create_task(send(collector.at(killed.url)))
            payment = await eventually(lambda: open_payment_of(collector, customer.contract))
            await eventually(lambda: sandbox.charge(payment["gatewayReference"]))
            killed.kill()
            with pytest.raises(httpx.HTTPError):
                await request
            killed.start()
            killed.wait_until_ready()
            replayed = await send(collector.at(killed.url))
        await sandbox.pay(reference=payment["gatewayReference"], drop_webhook=True)
    async with collector:
        yield CrashedPayment(collector, customer, payment, replayed)


async def send_qr_request(customer: Customer, api: Client, *, key: str) -> Json:
    return await api.process(customer.contract, "VNPAY_QR", customer.bills[0], key=key)


async def test_after_a_crash_the_same_key_is_the_payment_that_was_sent(
    crashed: CrashedPayment, sandbox: Sandbox
) -> None:
    assert crashed.replayed["replayed"] is True
    assert crashed.replayed["errors"] == []
    assert crashed.replayed["payment"]["id"] == crashed.payment["id"]
    assert crashed.replayed["payment"]["status"] == "PROCESSING"
    truth = await sandbox.truth()
    charges = [charge["reference"] for charge in truth["charges"]]
    assert charges.count(crashed.payment["gatewayReference"]) == 1


async def test_a_charge_that_the_gateway_did_not_answer_is_found_by_inquiry(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    key, bill = new_key(), customer.bills[0]
    await sandbox.order_fault(
        "vnpay", "timeout", times=1, after_processing=True, path=customer.contract
    )

    payment = await collector.pay(customer.contract, "VNPAY_QR", bill, key=key)
    assert payment["status"] == "PROCESSING"
    assert payment["needsVerification"] is True
    reference = (await collector.office_view(payment["id"]))["gatewayReference"]
    await sandbox.pay(reference=reference, drop_webhook=True)

    settled = await eventually(
        lambda: collector.payment(payment["id"]), lambda now: now["status"] == "SUCCESS"
    )

    assert settled["needsVerification"] is False
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)
    again = await collector.process(customer.contract, "VNPAY_QR", bill, key=key)
    assert (again["replayed"], again["payment"]["status"]) == (True, "SUCCESS")
    truth = await sandbox.truth()
    assert [charge["reference"] for charge in truth["charges"]].count(reference) == 1


async def test_a_qr_whose_answer_was_lost_is_not_requested_again_and_can_be_cancelled(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    bill = customer.bills[0]
    before = (await sandbox.requests("vnpay"))["last"]
    await sandbox.order_fault(
        "vnpay", "reset", times=1, after_processing=True, path=customer.contract
    )

    payment = await collector.pay(customer.contract, "VNPAY_QR", bill)
    assert payment["status"] == "PROCESSING"
    assert payment["needsVerification"] is True
    known = await eventually(
        lambda: collector.payment(payment["id"]), lambda now: now["version"] > payment["version"]
    )
    assert (known["status"], known["qr"]) == ("PROCESSING", None)
    assert known["needsVerification"] is True, "unpaid, and there is no QR to scan"

    cancelled = await collector.execute(
        "CancelPayment", id=payment["id"], reason="Không thấy mã QR"
    )
    assert cancelled["errors"] == []
    assert cancelled["payment"]["status"] == "CANCELLED"
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), EFFECTS_ONCE)
    requests = (await sandbox.requests("vnpay", since=before))["requests"]
    assert [request["fault"] for request in requests].count("reset") == 1
    truth = await sandbox.truth()
    reference = (await collector.office_view(payment["id"]))["gatewayReference"]
    assert [charge["reference"] for charge in truth["charges"]].count(reference) == 1


async def test_a_gateway_that_cannot_be_reached_fails_the_payment_and_frees_the_bill(
    collector: Client, customer: Customer, api_without_vnpay: Process
) -> None:
    bill = customer.bills[0]

    payload = await collector.at(api_without_vnpay.url).process(customer.contract, "VNPAY_QR", bill)

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


async def test_after_several_failures_a_payment_is_refused_without_a_request_to_the_gateway(
    collector: Client, make_customer, api_without_vnpay: Process, stored: DatabaseView
) -> None:
    customer = await make_customer(1)
    api = collector.at(api_without_vnpay.url)

    async def refused_without_payment() -> bool:
        payload = await api.process(customer.contract, "VNPAY_QR", customer.bills[0])
        assert [error["code"] for error in payload["errors"]] == ["GATEWAY_UNAVAILABLE"]
        assert payload["errors"][0]["alternatives"]
        return payload["payment"] is None

    await eventually(refused_without_payment)
    before = await stored.payments(customer.contract)
    assert await refused_without_payment()
    assert await stored.payments(customer.contract) == before


async def test_after_a_crash_the_worker_finds_out_that_it_was_paid(
    crashed: CrashedPayment, sandbox: Sandbox, stored: DatabaseView
) -> None:
    """The worker inquires half a minute after the crash; the tests above run meanwhile."""
    await eventually(
        lambda: crashed.collector.payment(crashed.payment["id"]),
        lambda now: now["status"] == "SUCCESS",
        within=120,
    )
    await equals(lambda: sandbox.effects(crashed.payment["id"]), EFFECTS_ONCE)
    assert await stored.payments(crashed.customer.contract) == ["SUCCESS"]
