"""The API is killed between sending to the gateway and hearing its answer."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.journeys.client import ONCE, Client, Sandbox, a_key, equals, eventually
from tests.journeys.conftest import Books, Customer
from tests.journeys.stack import Stack, started
from tests.journeys.test_webhooks import the_open_one

pytestmark = pytest.mark.anyio


async def test_what_was_sent_before_a_crash_is_found_and_settled_after_it(
    collector: Client, sandbox: Sandbox, customer: Customer, books: Books, stack: Stack
) -> None:
    key, bill = a_key(), customer.bills[0]
    await sandbox.breaks(
        "vnpay", "slow", times=1, after_processing=True, seconds=20, path=customer.contract
    )
    doomed = stack.api("doomed")
    with started(doomed):
        api = collector.at(doomed.url)
        asking = asyncio.create_task(api.process(customer.contract, "VNPAY_QR", bill, key=key))
        payment = await eventually(lambda: the_open_one(collector, customer.contract))
        await eventually(lambda: sandbox.charge(payment["gatewayReference"]))

        doomed.kill()
        with pytest.raises(httpx.HTTPError):
            await asking
        doomed.start()
        doomed.wait_until_it_answers()

        replayed = await api.process(customer.contract, "VNPAY_QR", bill, key=key)
        assert replayed["replayed"] is True
        assert replayed["errors"] == []
        assert replayed["payment"]["id"] == payment["id"]
        assert replayed["payment"]["status"] == "PROCESSING"
        await sandbox.pays(reference=payment["gatewayReference"], drop_webhook=True)

    await eventually(
        lambda: collector.payment(payment["id"]),
        lambda now: now["status"] == "SUCCESS",
        within=60,
    )
    await equals(lambda: sandbox.effects(payment["id"]), ONCE)
    assert await books.payments(customer.contract) == ["SUCCESS"]
