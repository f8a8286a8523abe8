"""A key is taken once, by a transaction; whoever comes second waits for it and finds what it stands for."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from db import engine, idempotency, processes
from db.transaction import transaction
from tests.support.builders import NOW
from tests.support.database import unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

PRINT = b"\1" * 32
DEAD = 999_999_999


async def claim(key: str, subject: str, *, process: int = DEAD, answered: bool = False) -> bool:
    return await idempotency.claim(
        "NV001",
        "processPayment",
        key,
        fingerprint=PRINT,
        subject_id=subject,
        process=process,
        now=NOW,
        answered=answered,
    )


async def found(key: str) -> idempotency.Claim | None:
    return await idempotency.find("NV001", "processPayment", key, NOW)


async def test_of_many_with_one_key_one_opens_something_and_the_rest_find_it() -> None:
    key = unique("key")

    async def take(subject: str) -> bool:
        async with transaction():
            return await claim(key, subject)

    taken = await asyncio.gather(*(take(f"TXN_{n}") for n in range(30)))
    assert taken.count(True) == 1
    kept = await found(key)
    assert kept is not None
    assert (kept.fingerprint, kept.subject_id) == (PRINT, f"TXN_{taken.index(True)}")


async def test_the_second_waits_for_the_first_and_takes_the_key_when_it_rolls_back() -> None:
    key = unique("key")
    claimed, release = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with transaction():
            assert await claim(key, "TXN_1")
            claimed.set()
            await release.wait()
            raise ZeroDivisionError

    async def second() -> bool:
        await claimed.wait()
        async with transaction():
            return await claim(key, "TXN_2")

    one, two = asyncio.create_task(first()), asyncio.create_task(second())
    await claimed.wait()
    await _someone_waits_for_a_lock()
    assert not two.done()
    release.set()
    with pytest.raises(ZeroDivisionError):
        await one
    assert await two
    kept = await found(key)
    assert kept is not None
    assert kept.subject_id == "TXN_2"


async def test_a_key_means_something_else_for_another_actor_or_operation() -> None:
    key = unique("key")
    assert await claim(key, "TXN_1")
    assert await idempotency.find("NV002", "processPayment", key, NOW) is None
    assert await idempotency.find("NV001", "payOrder", key, NOW) is None


async def test_a_request_is_in_flight_until_it_is_answered_or_its_process_dies() -> None:
    key, answered = unique("key"), unique("key")
    async with processes.presence() as alive:
        assert await claim(key, "TXN_1", process=alive)
        assert await claim(answered, "TXN_2", process=alive, answered=True)
        assert await in_flight(key)
        assert not await in_flight(answered)
        await idempotency.answered("NV001", "processPayment", key, NOW)
        assert not await in_flight(key)

        orphan = unique("key")
        assert await claim(orphan, "TXN_3", process=alive)
        assert await in_flight(orphan)
    assert not await in_flight(orphan)


async def test_without_an_answer_a_request_is_in_flight_for_half_a_minute() -> None:
    key = unique("key")
    async with processes.presence() as alive:
        assert await claim(key, "TXN_1", process=alive)
        almost = NOW + timedelta(seconds=30) - timedelta.resolution
        assert await in_flight(key, almost)
        assert not await in_flight(key, NOW + timedelta(seconds=30))
        assert await processes.is_alive(alive)
        kept = await idempotency.find("NV001", "processPayment", key, NOW + timedelta(days=1))
        assert kept is not None
        assert (kept.subject_id, kept.fingerprint) == ("TXN_1", PRINT), "it stands for the same"


async def in_flight(key: str, now: datetime = NOW) -> bool:
    kept = await idempotency.find("NV001", "processPayment", key, now)
    assert kept is not None
    return kept.in_flight


async def _someone_waits_for_a_lock() -> None:
    async with asyncio.timeout(20):
        while not await engine.fetchval(
            "select exists (select from pg_locks where not granted and locktype = 'transactionid')"
        ):
            await asyncio.sleep(0.005)
