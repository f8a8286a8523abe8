"""The backend over real Valkey servers, some of which are killed, frozen and restarted."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis.asyncio as redis
import structlog
from broadcaster import Broadcast

from integrations.pubsub import RECONNECTS, RESYNC, UNPUBLISHED, RedisBackend
from tests.support.valkey import PrivateValkey, until

pytestmark = pytest.mark.anyio


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[PrivateValkey]:
    server = PrivateValkey(tmp_path)
    yield server
    server.kill()


@asynccontextmanager
async def connected(url: str, **options: float) -> AsyncIterator[Broadcast]:
    async with Broadcast(backend=RedisBackend(url, **options)) as broadcast:
        yield broadcast


async def next_message(subscriber: object) -> str:
    async with asyncio.timeout(20):
        return (await subscriber.get()).message  # type: ignore[attr-defined]


async def test_another_process_receives_a_message(redis_url: str) -> None:
    async with (
        connected(redis_url) as here,
        connected(redis_url) as there,
        there.subscribe("pubsub-a") as subscriber,
    ):
        await here.publish("pubsub-a", "một")
        assert await next_message(subscriber) == "một"


async def test_subscribing_returns_after_redis_has_confirmed(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a"):
        assert await valkey.subscribed() == {"a": 1}


async def test_after_a_killed_server_every_channel_gets_one_resync_and_then_messages(
    valkey: PrivateValkey,
) -> None:
    await valkey.start()
    async with (
        connected(valkey.url) as broadcast,
        broadcast.subscribe("a") as a,
        broadcast.subscribe("b") as b,
    ):
        valkey.kill()
        await valkey.start()
        assert await next_message(a) is RESYNC
        assert await next_message(b) is RESYNC
        await broadcast.publish("a", "first")
        await broadcast.publish("b", "second")
        assert await next_message(a) == "first"
        assert await next_message(b) == "second"


async def test_a_frozen_server_is_detected_by_its_silence(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with (
        connected(valkey.url, ping_seconds=0.1, confirm_seconds=0.2) as broadcast,
        broadcast.subscribe("a") as subscriber,
    ):
        before = UNPUBLISHED._value.get()
        lost = RECONNECTS._value.get()
        valkey.signal(signal.SIGSTOP)
        async with asyncio.timeout(5):  # Redis never answers: publish gives up after 0.1 s
            await broadcast.publish("b", "lost")
        assert UNPUBLISHED._value.get() == before + 1
        await until(lambda: RECONNECTS._value.get() > lost)
        valkey.signal(signal.SIGCONT)
        assert await next_message(subscriber) is RESYNC
        await broadcast.publish("a", "after")
        assert await next_message(subscriber) == "after"


async def test_without_redis_subscribers_get_own_messages_and_a_resync_later(
    valkey: PrivateValkey,
) -> None:
    async with (
        connected(valkey.url, confirm_seconds=0.05) as broadcast,
        broadcast.subscribe("a") as subscriber,
    ):
        before = UNPUBLISHED._value.get()
        await broadcast.publish("a", "ourselves")
        assert UNPUBLISHED._value.get() == before + 1
        assert await next_message(subscriber) == "ourselves"
        await valkey.start()
        assert await next_message(subscriber) is RESYNC
        await broadcast.publish("a", "all")
        assert await next_message(subscriber) == "all"


async def test_an_outage_is_logged_once_and_so_is_its_end(valkey: PrivateValkey) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connected(valkey.url, longest_pause=0.02) as broadcast:
            lost = RECONNECTS._value.get()
            await until(lambda: RECONNECTS._value.get() > lost + 3)
            await valkey.start()
            await until(lambda: broadcast._backend.is_connected)
    events = [log["event"] for log in logs]
    assert events == ["redis_unavailable", "redis_connected_again"]
    assert "Connect" in logs[0]["reason"]


async def test_the_first_publish_after_a_restart_arrives(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a") as subscriber:
        await broadcast.publish("a", "one")
        assert await next_message(subscriber) == "one"
        valkey.kill()
        await valkey.start()
        assert await next_message(subscriber) is RESYNC
        before = UNPUBLISHED._value.get()
        await broadcast.publish("a", "two")
        assert UNPUBLISHED._value.get() == before
        assert await next_message(subscriber) == "two"


async def test_a_payload_that_is_not_utf8_arrives_unchanged(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a") as subscriber:
        async with redis.Redis.from_url(valkey.url) as client:
            await client.publish("a", b"\xff\xfe")
        survived = await next_message(subscriber)
        assert survived.encode(errors="surrogateescape") == b"\xff\xfe"
        await broadcast.publish("a", survived)
        assert await next_message(subscriber) == survived


async def test_two_hundred_channels_leave_no_subscription_behind(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast:

        async def round_trip(number: int) -> str:
            async with broadcast.subscribe(f"channel-{number}") as subscriber:
                await broadcast.publish(f"channel-{number}", str(number))
                return await next_message(subscriber)

        assert await asyncio.gather(*map(round_trip, range(200))) == [str(n) for n in range(200)]
        async with asyncio.timeout(20):
            while await valkey.subscribed():
                pass


async def test_five_thousand_unread_messages_arrive(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a") as subscriber:
        async with redis.Redis.from_url(valkey.url) as client, client.pipeline() as pipe:
            for number in range(5_000):
                pipe.publish("a", number)
            await pipe.execute()
        assert [await next_message(subscriber) for _ in range(5_000)] == [
            str(n) for n in range(5_000)
        ]


async def test_disconnecting_leaves_no_task(valkey: PrivateValkey) -> None:
    await valkey.start()
    before = asyncio.all_tasks()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a"):
        pass
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
