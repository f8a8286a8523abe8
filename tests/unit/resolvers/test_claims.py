"""Somebody says that money came: what becomes of it where only the gateway's own word proves it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import orjson
import pytest

from db import engine
from domain.attempts import Failure
from domain.methods import PaymentMethod
from domain.payment_evidence import Evidence, Finding, Grade
from domain.payment_inquiry import CONFIRMING
from domain.payments import HoldReason, Payment, PaymentStatus
from resolvers import jobs
from resolvers.payment_evidence import apply
from tests.unit.resolvers.conftest import House

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

QUOTA = 300.0  # VNPay's


async def failed(house: House, by: Any) -> Payment:
    house.gateway.starts = Finding.DECLINED
    return await house.pays(by)


async def expired(house: House, by: Any) -> Payment:
    qr = await house.pays(by)
    assert qr.expires_at is not None
    house.clock.at = qr.expires_at
    await jobs.follow_up(house.context, qr.id)
    house.clock.move(seconds=QUOTA)
    return qr


ENDED = pytest.mark.parametrize(
    ("end", "status"),
    [(failed, PaymentStatus.FAILED), (expired, PaymentStatus.EXPIRED)],
    ids=["failed", "expired"],
)


async def ended(house: House, end: Any, status: PaymentStatus) -> Payment:
    house.gateway.ask_again_after = QUOTA
    payment = await house.again(await end(house, await house.collector()))
    assert payment.status is status
    house.gateway.asked.clear()
    return payment


async def told(
    house: House,
    payment: Payment,
    finding: Finding = Finding.PAID,
    *,
    grade: Grade = Grade.E1,
    number: str | None = "G1",
    failure: Failure | None = None,
) -> None:
    """Say something about the payment, by default as a signed webhook would."""
    assert payment.attempt is not None
    saying = Evidence(
        grade=grade,
        source="test:ipn",
        finding=finding,
        money=payment.attempt.money if finding is Finding.PAID else None,
        gateway_id=number,
        failure=failure,
    )
    await apply(house.context, payment.attempt.reference, saying)


async def put_again(house: House, payment: Payment, *, until: timedelta) -> bool:
    """Run the question's job whenever it wants to come again; tell whether it came to rest."""
    end = house.clock.at + until
    house.clock.move(seconds=1)
    while house.clock.at <= end:
        again = await jobs.inquire(house.context, payment.id)
        if again is None:
            return True
        assert again > timedelta(0), "a job that comes again at once runs hot"
        house.clock.at += again
    return False


async def questions(payment: Payment) -> int:
    subject = orjson.dumps({"subject": payment.id})
    return await engine.fetchval(
        "select count(*) from pgqueuer where entrypoint = 'inquire' and payload = $1", subject
    )


async def suspense(payment: Payment) -> list[int]:
    rows = await engine.fetch(
        "select amount from posting join entry on entry.id = entry"
        " where payment = $1 and credit = 'suspense'",
        payment.id,
    )
    return [row["amount"] for row in rows]


# ── after the end ────────────────────────────────────────────────────────────────────────────────


@ENDED
async def test_a_claim_is_put_to_a_gateway_that_does_not_know_yet_until_it_says_paid(
    house: House, end: Any, status: PaymentStatus
) -> None:
    payment = await ended(house, end, status)
    await told(house, payment)
    assert (await house.again(payment)).status is status, "a claim proves nothing"
    assert await questions(payment) == 1
    assert not await put_again(house, payment, until=timedelta(hours=2))
    assert len(house.gateway.asked) > 3
    house.gateway.says = Finding.PAID
    assert await put_again(house, payment, until=timedelta(hours=6))
    after = await house.again(payment)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)
    assert not await house.is_free(payment)
    assert await house.cases(payment) == []


@ENDED
async def test_a_claim_is_put_within_the_quota_and_ever_more_rarely(
    house: House, end: Any, status: PaymentStatus
) -> None:
    payment = await ended(house, end, status)
    await told(house, payment)
    await put_again(house, payment, until=timedelta(days=2))
    gaps = [later - one for one, later in pairwise(house.gateway.asked)]
    assert min(gaps) >= timedelta(seconds=QUOTA)
    assert gaps == sorted(gaps)
    assert len(gaps) < 30


@ENDED
async def test_a_claim_that_no_gateway_confirms_for_a_day_is_one_case(
    house: House, end: Any, status: PaymentStatus
) -> None:
    payment = await ended(house, end, status)
    claimed = house.clock.at
    await told(house, payment)
    await told(house, payment)
    assert await put_again(house, payment, until=timedelta(days=3))
    assert CONFIRMING <= house.clock.at - claimed <= CONFIRMING * 2
    assert await house.cases(payment) == ["LATE_MONEY"]
    assert (await house.again(payment)).status is status
    for _ in range(3):
        house.clock.move(days=2)
        assert await jobs.inquire(house.context, payment.id) is None
    assert await house.cases(payment) == ["LATE_MONEY"]


async def test_the_same_claim_under_a_new_event_joins_the_case_that_is_open(house: House) -> None:
    payment = await ended(house, failed, PaymentStatus.FAILED)
    for _ in range(2):
        await told(house, payment)
        assert await put_again(house, payment, until=timedelta(days=3))
    assert await house.cases(payment) == ["LATE_MONEY"]


async def test_money_that_is_proven_after_its_claim_was_given_up_is_named_by_the_same_case(
    house: House,
) -> None:
    payment = await ended(house, failed, PaymentStatus.FAILED)
    await told(house, payment)
    assert await put_again(house, payment, until=timedelta(days=3))
    by = await house.collector()
    await house.pays(
        by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items
    )
    await told(house, payment, grade=Grade.E2)
    assert await house.cases(payment) == ["LATE_MONEY"]
    rows = await engine.fetch("select amount from money_case where payment = $1", payment.id)
    assert [row["amount"] for row in rows] == [payment.amount]
    assert await suspense(payment) == [payment.amount]


async def test_two_workers_that_give_up_a_claim_at_once_open_one_case(house: House) -> None:
    payment = await ended(house, failed, PaymentStatus.FAILED)
    await told(house, payment)
    house.clock.at += CONFIRMING
    await asyncio.gather(*(jobs.inquire(house.context, payment.id) for _ in range(4)))
    assert await house.cases(payment) == ["LATE_MONEY"]


@ENDED
async def test_money_that_the_gateway_confirms_after_the_case_is_still_taken(
    house: House, end: Any, status: PaymentStatus
) -> None:
    payment = await ended(house, end, status)
    await told(house, payment)
    assert await put_again(house, payment, until=timedelta(days=3))
    house.gateway.says = Finding.PAID
    house.clock.move(days=1)
    assert await jobs.inquire(house.context, payment.id) is None
    after = await house.again(payment)
    assert (after.status, after.late) == (PaymentStatus.SUCCESS, True)


@pytest.mark.parametrize("number", ["G1", None], ids=["numbered", "without a number"])
async def test_a_claim_that_was_confirmed_for_a_bill_paid_otherwise_is_one_case(
    house: House, number: str | None
) -> None:
    """VNPay's number of a payment may be 0, which is none."""
    payment = await ended(house, failed, PaymentStatus.FAILED)
    by = await house.collector()
    await house.pays(
        by, PaymentMethod.CASH, contract_number=payment.contract_number, items=payment.items
    )
    await told(house, payment)
    await told(house, payment, grade=Grade.E2, number=number)
    assert await house.cases(payment) == ["LATE_MONEY"]
    assert await put_again(house, payment, until=timedelta(days=3))
    assert await house.cases(payment) == ["LATE_MONEY"]
    assert await suspense(payment) == [payment.amount]


FRAUD = Failure(code="07", message="Nghi ngờ gian lận.")


async def test_a_suspicion_of_an_expired_payment_is_one_case_whoever_repeats_it(
    house: House,
) -> None:
    payment = await ended(house, expired, PaymentStatus.EXPIRED)
    for grade in (Grade.E1, Grade.E1, Grade.E2):
        await told(house, payment, Finding.SUSPICIOUS, grade=grade, failure=FRAUD)
    assert await house.cases(payment) == ["SUSPICIOUS"]
    assert (await house.again(payment)).status is PaymentStatus.EXPIRED
    assert await house.is_free(payment)


async def test_money_after_a_suspicion_of_an_expired_payment_is_still_confirmed(
    house: House,
) -> None:
    payment = await ended(house, expired, PaymentStatus.EXPIRED)
    await told(house, payment, Finding.SUSPICIOUS, failure=FRAUD)
    await told(house, payment)
    house.gateway.says = Finding.PAID
    assert await put_again(house, payment, until=timedelta(hours=1))
    assert (await house.again(payment)).status is PaymentStatus.SUCCESS
    assert await house.cases(payment) == ["SUSPICIOUS"]


# ── while it is held ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("grade", [Grade.E1, Grade.E2], ids=["webhook", "inquiry"])
async def test_money_of_a_suspicious_payment_is_booked_once_and_waits_with_it(
    house: House, grade: Grade
) -> None:
    held = await house.pays(await house.collector())
    await told(house, held, Finding.SUSPICIOUS, failure=FRAUD)
    for again in (grade, Grade.E1, Grade.E2):
        await told(house, held, grade=again)
    after = await house.again(held)
    assert (after.status, after.hold_reason) == (
        PaymentStatus.PROCESSING,
        HoldReason.GATEWAY_SUSPICIOUS,
    )
    assert await suspense(held) == [held.amount]
    assert await house.cases(held) == ["SUSPICIOUS"]
    assert not await house.is_free(held)
