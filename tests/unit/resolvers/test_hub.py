"""The hub over a real Valkey: coalescing, feeds, resync, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from integrations.pubsub import RedisBroadcast
from resolvers.hub import CHANNELS, RESYNC, WATCHERS, Hub, HubClosed, Watcher
from tests.support.valkey import PrivateValkey, until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[PrivateValkey]:
    server = PrivateValkey(tmp_path)
    await server.start()
    yield server
    server.kill()


@pytest.fixture
async def hub(valkey: PrivateValkey) -> AsyncIterator[Hub]:
    async with RedisBroadcast(valkey.url) as channels:
        hub = Hub(channels, linger=0.05)
        yield hub
        await hub.close()


async def next_of(watcher: Watcher) -> str | None:
    return await watcher.next(timeout=20)


async def test_a_watcher_is_woken_by_another_process(hub: Hub, valkey: PrivateValkey) -> None:
    async with RedisBroadcast(valkey.url) as channels, hub.watch("payment-1") as watcher:
        await Hub(channels).publish("payment-1", "3")
        assert await next_of(watcher) == "3"


async def test_an_unread_state_is_replaced_by_the_latest(hub: Hub) -> None:
    async with hub.watch("a") as slow, hub.watch("a") as quick:
        for version in range(100):
            await hub.publish("a", str(version))
        while await next_of(quick) != "99":
            pass
        assert await next_of(slow) == "99"
        assert await slow.next(timeout=0.01) is None


async def test_a_feed_delivers_every_message_in_order(hub: Hub) -> None:
    async with hub.watch("a", feed=10) as watcher:
        for number in range(10):
            await hub.publish("a", str(number))
        assert [await next_of(watcher) for _ in range(10)] == [str(n) for n in range(10)]


def test_a_feed_that_overflows_leaves_one_resync_and_goes_on_from_there() -> None:
    watcher = Watcher(feed=3)
    for number in range(6):
        watcher.push(str(number))
    assert watcher._pending == [RESYNC, "4", "5"]
    watcher.push("6")
    assert watcher._pending == [RESYNC]


def test_a_state_that_must_be_read_again_is_not_hidden_by_a_later_message() -> None:
    watcher = Watcher(feed=None)
    watcher.push("1")
    watcher.push(RESYNC)
    watcher.push("2")
    assert watcher._pending == [RESYNC]


async def test_nothing_happens_within_the_sweep_time(hub: Hub) -> None:
    async with hub.watch("a") as watcher:
        assert await watcher.next(timeout=0.01) is None


async def test_every_watcher_reads_again_after_redis_was_lost(
    hub: Hub, valkey: PrivateValkey
) -> None:
    async with hub.watch("a") as state, hub.watch("a", feed=5) as feed, hub.watch("b") as other:
        valkey.kill()
        await valkey.start()
        for watcher in (state, feed, other):
            assert await next_of(watcher) is RESYNC
        await hub.publish("a", "after")
        assert await next_of(state) == "after"
        assert await next_of(feed) == "after"
        assert await other.next(timeout=0.01) is None


async def test_redis_has_one_subscription_for_many_watchers(
    hub: Hub, valkey: PrivateValkey
) -> None:
    async with AsyncExitStack() as stack:
        entering = [hub.watch("a") for _ in range(200)]
        watching = await asyncio.gather(*map(stack.enter_async_context, entering))
        assert await valkey.subscribed() == {"a": 1}
        await hub.publish("a", "1")
        assert {await next_of(watcher) for watcher in watching} == {"1"}


async def test_a_watcher_that_returns_soon_finds_the_channel_still_subscribed(
    hub: Hub, valkey: PrivateValkey
) -> None:
    async with hub.watch("a"):
        pass
    async with hub.watch("a") as watcher:
        await asyncio.sleep(0.1)  # longer than the linger
        assert await valkey.subscribed() == {"a": 1}
        await hub.publish("a", "1")
        assert await next_of(watcher) == "1"


async def test_a_watcher_that_returns_during_the_unsubscription_is_subscribed(
    hub: Hub, valkey: PrivateValkey
) -> None:
    for _ in range(20):
        async with hub.watch("a"):
            channel = hub._channels["a"]
        hub._release("a", channel)
        async with hub.watch("a") as watcher:
            await hub.publish("a", "1")
            assert await next_of(watcher) == "1"


async def test_a_thousand_abrupt_disconnects_leave_no_task_and_no_subscription(
    hub: Hub, valkey: PrivateValkey
) -> None:
    before = asyncio.all_tasks()

    async def watch(number: int) -> None:
        async with hub.watch(f"payment-{number % 500}") as watcher:
            async for _ in watcher:
                pass

    watching = [asyncio.create_task(watch(number)) for number in range(1_000)]
    await until(lambda: WATCHERS._value.get() == 1_000)
    assert CHANNELS._value.get() == 500
    for task in watching:
        task.cancel()
    await asyncio.wait(watching)
    await until(lambda: CHANNELS._value.get() == 0)
    async with asyncio.timeout(20):
        while await valkey.subscribed():
            pass
    assert asyncio.all_tasks() == before
    assert WATCHERS._value.get() == 0


async def test_a_disconnect_before_the_confirmed_subscription_leaves_nothing(
    hub: Hub, valkey: PrivateValkey
) -> None:
    watching = asyncio.ensure_future(hub.watch("a").__aenter__())
    await asyncio.sleep(0)
    watching.cancel()
    await until(lambda: not hub._channels)
    async with asyncio.timeout(20):
        while await valkey.subscribed():
            pass


async def test_closing_the_hub_ends_every_watch(hub: Hub) -> None:
    async with hub.watch("a") as watcher:
        await hub.close()
        assert [message async for message in watcher] == []
        with pytest.raises(HubClosed):
            await watcher.next()
    with pytest.raises(HubClosed):
        async with hub.watch("a"):
            pass
