"""Refunds whose gateway is slow, silent or gone, as the clock moves on; and who is told of them, in which order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from db import engine, payments, reversals
from db.transaction import transaction
from domain.methods import PaymentMethod
from domain.payment_evidence import Evidence, Finding, Grade
from domain.payment_inquiry import GIVE_UP
from domain.payments import Custody, Payment
from domain.refusals import NotPermitted
from domain.reversals import NotReversible, Reversal, ReversalKind, ReversalStatus
from resolvers import jobs, refund_execution
from resolvers import payment_evidence as evidence
from resolvers import reversals as resolve
from tests.support.running_api import key
from tests.unit.resolvers.conftest import House

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


async def a_success(house: House) -> Payment:
    """Return a success by the obedient gateway."""
    qr = await house.pays(await house.collector())
    assert qr.attempt is not None
    paid = Evidence(
        grade=Grade.E2, source="test", finding=Finding.PAID, money=qr.money, gateway_id="G1"
    )
    return (await evidence.apply(house.context, qr.attempt.reference, paid)).payment


async def refunded(house: House, payment: Payment, amount: int | None = None) -> Reversal:
    done = await resolve.refund(
        await house.by("FI001"),
        payment.id,
        amount=amount or payment.amount,
        reason="paid by mistake",
        idempotency_key=key(),
    )
    return done.reversal


async def voided(house: House, payment: Payment, by: Any) -> resolve.Reversed:
    return await resolve.void(by, payment.id, reason="paid by mistake", idempotency_key=key())


async def followed(house: House, reversal: Reversal, *, until: timedelta) -> Reversal:
    """Run the refund's job whenever it is due."""
    end = house.clock.at + until
    while house.clock.at <= end:
        again = await jobs.refund(house.context, reversal.id)
        if again is None:
            break
        house.clock.at += again
    return await now(reversal)


async def now(reversal: Reversal) -> Reversal:
    found = await reversals.by_id(reversal.id)
    assert found is not None
    return found


async def balance(payment: Payment, account: str) -> int:
    return await engine.fetchval(
        "select coalesce(sum(case when credit = $2 then amount else -amount end), 0)::bigint"
        " from posting p join entry e on e.id = p.entry"
        " where e.payment = $1 and $2 in (debit, credit)",
        payment.id,
        account,
    )


async def test_a_silent_refund_is_asked_about_and_never_sent_again(house: House) -> None:
    payment = await a_success(house)
    house.gateway.refunds = Finding.UNKNOWN
    reversal = await refunded(house, payment)
    assert reversal.status is ReversalStatus.UNKNOWN
    assert await balance(payment, "refunds_payable") == payment.amount
    await followed(house, reversal, until=timedelta(hours=2))
    assert len(house.gateway.asked) > 4
    house.gateway.says_of_refunds = Finding.PAID
    after = await followed(house, reversal, until=timedelta(hours=2))
    assert after.status is ReversalStatus.DONE
    assert house.gateway.refunded == [(reversal.id, True)]
    assert await balance(payment, "refunds_payable") == 0
    assert await house.is_free(payment)


async def test_a_refund_that_the_gateway_knows_nothing_of_has_failed_and_the_money_is_back(
    house: House,
) -> None:
    payment = await a_success(house)
    house.gateway.refunds, house.gateway.says_of_refunds = Finding.UNKNOWN, Finding.UNPAID
    reversal = await refunded(house, payment)
    after = await followed(house, reversal, until=timedelta(hours=1))
    assert after.status is ReversalStatus.FAILED
    assert await balance(payment, "customer_receivable") == payment.amount
    assert not await house.is_free(payment)


async def test_what_was_never_sent_is_sent_when_the_gateway_is_there_again(house: House) -> None:
    payment = await a_success(house)
    house.gateway.refunds = Finding.NOT_SENT
    reversal = await refunded(house, payment)
    assert (reversal.status, reversal.sent_at) == (ReversalStatus.PENDING, None)
    await followed(house, reversal, until=timedelta(minutes=10))
    house.gateway.refunds = Finding.PAID
    after = await followed(house, reversal, until=timedelta(hours=1))
    assert after.status is ReversalStatus.DONE
    assert house.gateway.asked == []


async def test_what_could_never_be_sent_fails_in_the_end_and_is_no_case(house: House) -> None:
    payment = await a_success(house)
    house.gateway.refunds = Finding.NOT_SENT
    reversal = await refunded(house, payment)
    after = await followed(house, reversal, until=GIVE_UP + timedelta(days=2))
    assert after.status is ReversalStatus.FAILED
    assert await house.cases(payment) == []


async def said(house: House, reversal: Reversal, grade: Grade, finding: Finding) -> ReversalStatus:
    evidence = Evidence(grade=grade, source="test", finding=finding)
    return (await refund_execution.settle(house.context, reversal.id, evidence)).status


async def test_a_refund_that_failed_is_corrected_by_nothing_but_a_settlement_file(
    house: House,
) -> None:
    payment = await a_success(house)
    house.gateway.refunds = Finding.DECLINED
    reversal = await refunded(house, payment)
    for grade, finding in [
        (Grade.E2, Finding.PAID), (Grade.E4, Finding.PAID), (Grade.E3, Finding.DECLINED)
    ]:  # fmt: skip
        assert await said(house, reversal, grade, finding) is ReversalStatus.FAILED
    assert await balance(payment, "customer_receivable") == payment.amount
    for _ in range(2):
        assert await said(house, reversal, Grade.E3, Finding.PAID) is ReversalStatus.DONE
        assert await balance(payment, "gateway_clearing:vnpay") == 0
    assert await house.is_free(payment)
    with pytest.raises(asyncpg.RaiseError, match="DONE is never left"):
        await engine.execute("update reversal set status = 'FAILED' where id = $1", reversal.id)


async def test_a_refund_that_no_gateway_was_asked_for_is_not_corrected(house: House) -> None:
    payment = await a_success(house)
    house.gateway.refunds = Finding.NOT_SENT
    reversal = await refunded(house, payment)
    await followed(house, reversal, until=GIVE_UP + timedelta(days=2))
    assert await said(house, reversal, Grade.E3, Finding.PAID) is ReversalStatus.FAILED
    with pytest.raises(asyncpg.RaiseError, match="FAILED is never left"):
        await engine.execute("update reversal set status = 'DONE' where id = $1", reversal.id)


async def test_a_refund_that_stays_unknown_for_a_week_is_one_case_for_people(house: House) -> None:
    payment = await a_success(house)
    house.gateway.refunds = Finding.UNKNOWN
    reversal = await refunded(house, payment)
    after = await followed(house, reversal, until=GIVE_UP + timedelta(days=2))
    assert after.status is ReversalStatus.UNKNOWN
    await jobs.refund(house.context, reversal.id)
    assert await house.cases(payment) == ["UNKNOWN_OUTCOME"]


async def test_a_process_that_dies_while_it_sends_leaves_a_question_and_no_second_refund(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = await a_success(house)

    async def dies(*_: object, **__: object) -> Evidence:
        raise asyncio.CancelledError

    monkeypatch.setattr(house.gateway, "refund", dies)
    with pytest.raises(asyncio.CancelledError):
        await refunded(house, payment)
    (reversal,) = await reversals.of_payment(payment.id)
    assert reversal.status is ReversalStatus.PENDING
    assert reversal.sent_at is not None
    house.gateway.says_of_refunds = Finding.PAID
    after = await followed(house, reversal, until=timedelta(minutes=5))
    assert after.status is ReversalStatus.DONE
    assert house.gateway.refunded == []


async def test_one_refund_of_an_attempt_is_under_way_at_a_time(house: House) -> None:
    payment = await a_success(house)
    house.gateway.refunds = Finding.UNKNOWN
    first = await refunded(house, payment, 10_000)
    house.gateway.refunds = Finding.PAID
    second = await refunded(house, payment, 20_000)
    assert (first.status, second.status) == (ReversalStatus.UNKNOWN, ReversalStatus.PENDING)
    house.gateway.says_of_refunds = Finding.PAID
    await followed(house, first, until=timedelta(minutes=1))
    after = await followed(house, second, until=timedelta(minutes=5))
    assert after.status is ReversalStatus.DONE


async def test_the_database_refuses_to_give_back_more_than_came(house: House) -> None:
    payment = await a_success(house)

    async def take(amount: int) -> bool:
        try:
            async with transaction():
                locked = await payments.lock(payment.id)
                assert locked is not None
                await resolve.opened(
                    house.context, locked, kind=ReversalKind.REFUND, amount=amount,
                    reason="unchecked", source=resolve.PAID, requested_by="FI001", now=house.clock.at,
                )  # fmt: skip
        except Exception:
            return False
        return True

    took = await asyncio.gather(*(take(payment.amount) for _ in range(5)))
    assert sum(took) == 1


# ── voids, by the clock and by two people ────────────────────────────────────────────────────────


async def cash(house: House, by: Any) -> Payment:
    return await house.pays(by, PaymentMethod.CASH)


async def test_a_collector_voids_until_midnight_in_vietnam_and_a_supervisor_after(
    house: House,
) -> None:
    house.clock.at = datetime(2031, 12, 31, 16, 59, 59, tzinfo=UTC)
    by = await house.by("NV002")
    payment, other = await cash(house, by), await cash(house, by)
    assert (await voided(house, other, by)).payment.custody is Custody.VOIDED
    house.clock.move(seconds=1)
    with pytest.raises(NotPermitted):
        await voided(house, payment, by)
    done = await voided(house, payment, await house.by("SV001"))
    assert done.payment.custody is Custody.VOIDED


async def test_a_large_void_waits_for_a_second_person_and_changes_nothing_before(
    house: House,
) -> None:
    by = await house.collector()
    payment = await cash(house, by)
    careful = replace(by, terms=replace(by.terms, four_eyes_above=payment.amount - 1))
    asked = await voided(house, payment, careful)
    assert asked.reversal.status is ReversalStatus.AWAITING_APPROVAL
    assert asked.payment.custody is Custody.HELD_BY_STAFF
    assert not await house.is_free(payment)
    assert await balance(payment, "customer_receivable") == payment.amount
    assert await house.cases(payment) == ["APPROVAL"]
    with pytest.raises(NotReversible):
        await voided(house, payment, careful)
    async with transaction():
        await payments.lock(payment.id)
        done = await resolve.approve(
            house.context, asked.reversal.id, approved_by="FI002", now=house.clock.at
        )
    assert (done.status, done.approved_by) == (ReversalStatus.DONE, "FI002")
    assert await house.is_free(payment)


async def test_a_large_refund_that_is_rejected_comes_to_nothing_and_can_be_asked_for_again(
    house: House,
) -> None:
    payment = await a_success(house)
    finance = await house.by("FI001")
    careful = replace(finance, terms=replace(finance.terms, four_eyes_above=1))
    asked = await resolve.refund(
        careful, payment.id, amount=payment.amount, reason="mistake", idempotency_key=key()
    )
    assert asked.reversal.status is ReversalStatus.AWAITING_APPROVAL
    assert house.gateway.refunded == []
    assert await reversals.left(payment.id, resolve.PAID, payment.currency) == 0
    async with transaction():
        await payments.lock(payment.id)
        rejected = await resolve.reject(house.context, asked.reversal.id, now=house.clock.at)
    assert rejected.status is ReversalStatus.FAILED
    assert (await refunded(house, payment)).status is ReversalStatus.DONE


# ── Revenue and Debt ─────────────────────────────────────────────────────────────────────────────


async def test_vnpay_is_asked_what_became_of_a_refund_and_tells_of_the_latest(
    house: House,
) -> None:
    """The real adapter over the sandbox: the refund was made, and its answer lost."""
    context = replace(house.context, gateways=house.real)
    by = replace(await house.by("NV002"), gateways=house.real)
    qr = await house.pays(by)
    assert qr.attempt is not None
    house.sandbox.pay(reference=qr.gateway_reference, drop_webhook=True)
    told = await house.real[qr.attempt.gateway].inquire(qr.attempt, now=house.clock.at)
    await evidence.apply(context, qr.attempt.reference, told)
    with house.sandbox.broken("vnpay", "reset", after_processing=True):
        finance = replace(await house.by("FI001"), gateways=house.real)
        done = await resolve.refund(
            finance, qr.id, amount=10_000, reason="mistake", idempotency_key=key()
        )
    assert done.reversal.status is ReversalStatus.UNKNOWN
    for _ in range(100):  # inside VNPay's five minutes, which go by its own clock, it tells nothing
        house.clock.move(minutes=6)
        await refund_execution.follow_up(context, done.reversal.id)
        after = await now(done.reversal)
        if after.status is not ReversalStatus.UNKNOWN:
            break
    assert after.status is ReversalStatus.DONE
    assert after.gateway_id
