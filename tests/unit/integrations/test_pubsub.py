"""The backend over real Valkeys, some of which are killed, frozen and started again."""

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


async def heard(subscriber: object) -> str:
    async with asyncio.timeout(20):
        return (await subscriber.get()).message  # type: ignore[attr-defined]


async def test_what_is_published_is_heard_by_another_process(redis_url: str) -> None:
    async with (
        connected(redis_url) as here,
        connected(redis_url) as there,
        there.subscribe("pubsub-a") as subscriber,
    ):
        await here.publish("pubsub-a", "một")
        assert await heard(subscriber) == "một"


async def test_subscribing_returns_after_redis_has_confirmed(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a"):
        assert await valkey.subscribed() == {"a": 1}


async def test_after_a_killed_server_every_channel_hears_one_resync_and_then_messages(
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
        assert await heard(a) is RESYNC
        assert await heard(b) is RESYNC
        await broadcast.publish("a", "first")
        await broadcast.publish("b", "second")
        assert await heard(a) == "first"
        assert await heard(b) == "second"


async def test_a_frozen_server_is_noticed_by_its_silence(valkey: PrivateValkey) -> None:
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
        assert await heard(subscriber) is RESYNC
        await broadcast.publish("a", "after")
        assert await heard(subscriber) == "after"


async def test_without_redis_one_can_subscribe_and_publish_and_hears_a_resync_when_it_comes(
    valkey: PrivateValkey,
) -> None:
    async with (
        connected(valkey.url, confirm_seconds=0.05) as broadcast,
        broadcast.subscribe("a") as subscriber,
    ):
        before = UNPUBLISHED._value.get()
        await broadcast.publish("a", "ourselves")
        assert UNPUBLISHED._value.get() == before + 1
        assert await heard(subscriber) == "ourselves"
        await valkey.start()
        assert await heard(subscriber) is RESYNC
        await broadcast.publish("a", "all")
        assert await heard(subscriber) == "all"


async def test_that_redis_is_away_is_said_once_and_that_it_is_back(valkey: PrivateValkey) -> None:
    with structlog.testing.capture_logs() as logs:
        async with connected(valkey.url, longest_pause=0.02) as broadcast:
            lost = RECONNECTS._value.get()
            await until(lambda: RECONNECTS._value.get() > lost + 3)
            await valkey.start()
            await until(lambda: broadcast._backend.is_connected)
    said = [log["event"] for log in logs]
    assert said == ["Redis is away: its messages are done without", "Redis is back"]
    assert "Connect" in logs[0]["why"]


async def test_the_first_publish_after_a_restart_arrives(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a") as subscriber:
        await broadcast.publish("a", "one")
        assert await heard(subscriber) == "one"
        valkey.kill()
        await valkey.start()
        assert await heard(subscriber) is RESYNC
        before = UNPUBLISHED._value.get()
        await broadcast.publish("a", "two")
        assert UNPUBLISHED._value.get() == before
        assert await heard(subscriber) == "two"


async def test_a_payload_that_is_no_utf8_harms_nobody(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a") as subscriber:
        async with redis.Redis.from_url(valkey.url) as client:
            await client.publish("a", b"\xff\xfe")
        survived = await heard(subscriber)
        assert survived.encode(errors="surrogateescape") == b"\xff\xfe"
        await broadcast.publish("a", survived)
        assert await heard(subscriber) == survived


async def test_two_hundred_channels_at_once_and_none_left_afterwards(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast:

        async def one(number: int) -> str:
            async with broadcast.subscribe(f"channel-{number}") as subscriber:
                await broadcast.publish(f"channel-{number}", str(number))
                return await heard(subscriber)

        assert await asyncio.gather(*map(one, range(200))) == [str(n) for n in range(200)]
        async with asyncio.timeout(20):
            while await valkey.subscribed():
                pass


async def test_five_thousand_messages_that_nobody_reads_yet(valkey: PrivateValkey) -> None:
    await valkey.start()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a") as subscriber:
        async with redis.Redis.from_url(valkey.url) as client, client.pipeline() as pipe:
            for number in range(5_000):
                pipe.publish("a", number)
            await pipe.execute()
        assert [await heard(subscriber) for _ in range(5_000)] == [str(n) for n in range(5_000)]


async def test_disconnecting_leaves_no_task(valkey: PrivateValkey) -> None:
    await valkey.start()
    before = asyncio.all_tasks()
    async with connected(valkey.url) as broadcast, broadcast.subscribe("a"):
        pass
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
