"""Redis is killed while a client watches: the API answers, and the client sees the payment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.processes import Stack, free_ports, started
from tests.support.stack.sandbox import EFFECTS_ONCE, Sandbox
from tests.support.stack.waiting import equals, eventually
from tests.support.valkey import PrivateValkey

pytestmark = pytest.mark.anyio


class Answers:
    """The number of answers that each API has given so far."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self.counts = [0 for _ in clients]

    async def wait_for_more(self) -> None:
        """Wait until each API has answered ten more times."""
        before = list(self.counts)

        async def fewest() -> int:
            return min(now - then for now, then in zip(self.counts, before, strict=True))

        await eventually(fewest, lambda answers: answers >= 10)


@asynccontextmanager
async def answering(*clients: Client) -> AsyncIterator[Answers]:
    """Send requests to each API, one after the other; each must succeed."""
    enough = asyncio.Event()
    answers = Answers(clients)

    async def send_requests(nth: int) -> None:
        while not enough.is_set():
            assert (await clients[nth].execute("Me"))["limits"]
            assert (await clients[nth].get("/readyz")).status_code == 200
            answers.counts[nth] += 1

    async with asyncio.TaskGroup() as group:
        for nth in range(len(clients)):
            group.create_task(send_requests(nth))
        yield answers
        enough.set()


async def test_a_watched_payment_is_seen_paid_though_redis_was_killed(
    collector: Client, sandbox: Sandbox, customer: Customer, stack: Stack, tmp_path: Path
) -> None:
    valkey = PrivateValkey(tmp_path)
    await valkey.start()
    port = free_ports(1)[0]
    # Gateways call `called`; the socket is at `watched`.
    settings = {"REDIS_URL": valkey.url, "PUBLIC_URL": f"http://127.0.0.1:{port}"}
    called, watched = (
        stack.api("called", port=port, **settings),
        stack.api("watched", **settings),
    )
    try:
        with started(called, watched):
            phone, office = collector.at(watched.url), collector.at(called.url)
            first = await phone.pay(customer.contract, "FPT_PAY", customer.bills[0])
            async with answering(phone, office) as answers, phone.watch(first["id"]) as events:
                assert (await events.next())["status"] == "PROCESSING"
                valkey.kill()
                await answers.wait_for_more()
                result = await sandbox.pay(payment_url=first["paymentUrl"])
                assert [answer["body"] for answer in result["webhooks"]] == [{"code": "00"}]
                assert (await events.remaining())[-1]["status"] == "SUCCESS"

                second = await phone.pay(customer.contract, "FPT_PAY", customer.bills[1])
                async with phone.watch(second["id"]) as more:
                    assert (await more.next())["status"] == "PROCESSING"
                    await valkey.start()
                    await answers.wait_for_more()
                    await sandbox.pay(payment_url=second["paymentUrl"])
                    assert (await more.remaining())[-1]["status"] == "SUCCESS"
    finally:
        valkey.kill()
    for payment in (first, second):
        await equals(lambda id=payment["id"]: sandbox.effects(id), EFFECTS_ONCE)
