"""Redis is killed while a client watches: it is told all the same, and nobody waits for an answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.outside import ONCE, Sandbox, equals
from tests.support.stack.processes import Stack, free_ports, started
from tests.support.valkey import PrivateValkey

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def answering(*clients: Client) -> AsyncIterator[None]:
    """Ask each API something, again and again; every answer must come within two seconds."""
    enough = asyncio.Event()
    answers = 0

    async def ask(client: Client) -> None:
        nonlocal answers
        while not enough.is_set():
            began = time.monotonic()
            assert (await client.ask("Me"))["limits"]
            assert (await client.get("/readyz")).status_code == 200
            assert time.monotonic() - began < 2
            answers += 1

    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(ask(client))
        yield
        enough.set()
    assert answers > 10


async def test_a_watched_payment_turns_green_though_redis_was_killed(
    collector: Client, sandbox: Sandbox, customer: Customer, stack: Stack, tmp_path: Path
) -> None:
    valkey = PrivateValkey(tmp_path)
    await valkey.start()
    port = free_ports(1)[0]
    # Webhooks arrive at `called`, the socket is at `watched`.
    settings = {"REDIS_URL": valkey.url, "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    called, watched = (
        stack.api("called", port=port, **settings),
        stack.api("watched", **settings),
    )
    try:
        with started(called, watched):
            phone, office = collector.at(watched.url), collector.at(called.url)
            first = await phone.pay(customer.contract, "FPT_PAY", customer.bills[0])
            async with answering(phone, office), phone.watch(first["id"]) as events:
                assert (await events.next())["status"] == "PROCESSING"
                valkey.kill()
                told = await sandbox.pays(payment_url=first["paymentUrl"])
                assert [answer["body"] for answer in told["webhooks"]] == [{"code": "00"}]
                assert (await events.to_the_end())[-1]["status"] == "SUCCESS"

                second = await phone.pay(customer.contract, "FPT_PAY", customer.bills[1])
                async with phone.watch(second["id"]) as more:
                    assert (await more.next())["status"] == "PROCESSING"
                    await valkey.start()
                    await sandbox.pays(payment_url=second["paymentUrl"])
                    assert (await more.to_the_end())[-1]["status"] == "SUCCESS"
    finally:
        valkey.kill()
    for payment in (first, second):
        await equals(lambda it=payment: sandbox.effects(it["id"]), ONCE)
