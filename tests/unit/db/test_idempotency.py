"""A key is claimed by one transaction; a second claim waits for it and finds its subject."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

from db import engine, idempotency, processes
from db.transaction import transaction
from tests.support.builders import NOW
from tests.support.database import unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]

FINGERPRINT = b"\1" * 32
DEAD_PROCESS = 999_999_999


async def claim(
    key: str, subject: str, *, process: int = DEAD_PROCESS, answered: bool = False
) -> bool:
    claimed_at = await idempotency.claim(
        "NV001",
        "processPayment",
        key,
        fingerprint=FINGERPRINT,
        subject_id=subject,
        process=process,
        at=NOW,
        answered=answered,
    )
    assert claimed_at in (NOW, None)
    return claimed_at is not None


async def find(key: str) -> idempotency.Claim | None:
    return await idempotency.find("NV001", "processPayment", key, NOW)


@pytest.mark.invariant(11)
async def test_one_of_many_concurrent_claims_takes_the_key_and_the_others_find_it() -> None:
    key = unique("key")

    async def claim_in_transaction(subject: str) -> bool:
        async with transaction():
            return await claim(key, subject)

    claims = await asyncio.gather(*(claim_in_transaction(f"TXN_{n}") for n in range(30)))
    assert claims.count(True) == 1
    stored = await find(key)
    assert stored is not None
    assert (stored.fingerprint, stored.subject_id) == (FINGERPRINT, f"TXN_{claims.index(True)}")


async def test_a_second_claim_waits_for_the_first_and_takes_the_key_when_it_rolls_back() -> None:
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

    first_task, second_task = asyncio.create_task(first()), asyncio.create_task(second())
    await claimed.wait()
    await _wait_for_a_blocked_transaction()
    assert not second_task.done()
    release.set()
    with pytest.raises(ZeroDivisionError):
        await first_task
    assert await second_task
    stored = await find(key)
    assert stored is not None
    assert stored.subject_id == "TXN_2"


async def test_another_actor_or_operation_has_its_own_keys() -> None:
    key = unique("key")
    assert await claim(key, "TXN_1")
    assert await idempotency.find("NV002", "processPayment", key, NOW) is None
    assert await idempotency.find("NV001", "payOrder", key, NOW) is None


async def test_a_request_is_in_flight_until_it_is_answered_or_its_process_dies() -> None:
    key, answered = unique("key"), unique("key")
    async with processes.hold_process_number() as alive:
        assert await claim(key, "TXN_1", process=alive)
        assert await claim(answered, "TXN_2", process=alive, answered=True)
        assert await in_flight(key)
        assert not await in_flight(answered)
        await idempotency.mark_answered("NV001", "processPayment", key, NOW)
        assert not await in_flight(key)

        orphan = unique("key")
        assert await claim(orphan, "TXN_3", process=alive)
        assert await in_flight(orphan)
    assert not await in_flight(orphan)


async def test_an_unanswered_request_is_in_flight_for_half_a_minute() -> None:
    key = unique("key")
    async with processes.hold_process_number() as alive:
        assert await claim(key, "TXN_1", process=alive)
        almost = NOW + timedelta(seconds=30) - timedelta.resolution
        assert await in_flight(key, almost)
        assert not await in_flight(key, NOW + timedelta(seconds=30))
        assert await processes.is_alive(alive)
        stored = await idempotency.find("NV001", "processPayment", key, NOW + timedelta(days=1))
        assert stored is not None
        assert (stored.subject_id, stored.fingerprint) == ("TXN_1", FINGERPRINT)


async def in_flight(key: str, now: datetime = NOW) -> bool:
    stored = await idempotency.find("NV001", "processPayment", key, now)
    assert stored is not None
    return stored.in_flight


async def _wait_for_a_blocked_transaction() -> None:
    async with asyncio.timeout(20):
        while not await engine.fetchval(
            "select exists (select from pg_locks where not granted and locktype = 'transactionid')"
        ):
            await asyncio.sleep(0.005)
