"""Refunds at gateways that are slow, silent or down, as time passes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from db import engine, payments, reversals
from db.transaction import transaction
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payment_inquiry import GIVE_UP_AFTER
from domain.payments import Custody, Payment
from domain.refusals import NotPermitted
from domain.reversals import NotReversible, Reversal, ReversalKind, ReversalStatus
from resolvers import jobs, refund_execution
from resolvers import payment_evidence as evidence
from resolvers import reversals as resolve
from tests.support.backend import Backend
from tests.support.running_api import key
from tests.support.voids import cash, now, voided

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio


async def new_success(backend: Backend) -> Payment:
    """Make a success at the stub gateway."""
    qr = await backend.new_payment(await backend.collector())
    assert qr.attempt is not None
    paid = Evidence(
        source=EvidenceSource.INQUIRY,
        origin="test",
        result=GatewayResult.PAID,
        money=qr.money,
        gateway_id="G1",
    )
    return (await evidence.apply(backend.context, qr.attempt.reference, paid)).payment


async def refund_payment(backend: Backend, payment: Payment, amount: int | None = None) -> Reversal:
    done = await resolve.refund(
        await backend.as_staff("FI001"),
        payment.id,
        amount=amount or payment.amount,
        reason="paid by mistake",
        idempotency_key=key(),
    )
    return done.reversal


async def run_refund_job(backend: Backend, reversal: Reversal, *, until: timedelta) -> Reversal:
    """Run the refund's job whenever it is due."""
    end = backend.clock.at + until
    while backend.clock.at <= end:
        again = await jobs.refund(backend.context, reversal.id)
        if again is None:
            break
        backend.clock.at += again
    return await now(reversal)


async def balance(payment: Payment, account: str) -> int:
    return await engine.fetchval(
        "select coalesce(sum(case when credit = $2 then amount else -amount end), 0)::bigint"
        " from posting p join entry e on e.id = p.entry"
        " where e.payment = $1 and $2 in (debit, credit)",
        payment.id,
        account,
    )


async def test_a_refund_without_an_answer_is_inquired_and_never_sent_again(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    backend.gateway.refund_result = GatewayResult.UNKNOWN
    reversal = await refund_payment(backend, payment)
    assert reversal.status is ReversalStatus.UNKNOWN
    assert await balance(payment, "refunds_payable") == payment.amount
    await run_refund_job(backend, reversal, until=timedelta(hours=2))
    assert len(backend.gateway.inquired_at) > 4
    backend.gateway.refund_inquiry_result = GatewayResult.PAID
    after = await run_refund_job(backend, reversal, until=timedelta(hours=2))
    assert after.status is ReversalStatus.DONE
    assert backend.gateway.refunded == [(reversal.id, True)]
    assert await balance(payment, "refunds_payable") == 0
    assert await backend.is_free(payment)


async def test_a_refund_unknown_to_the_gateway_fails_and_the_money_is_available_again(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    backend.gateway.refund_result, backend.gateway.refund_inquiry_result = (
        GatewayResult.UNKNOWN,
        GatewayResult.UNPAID,
    )
    reversal = await refund_payment(backend, payment)
    after = await run_refund_job(backend, reversal, until=timedelta(hours=1))
    assert after.status is ReversalStatus.FAILED
    assert await balance(payment, "customer_receivable") == payment.amount
    assert not await backend.is_free(payment)


async def test_a_refund_that_was_never_sent_is_sent_once_the_gateway_is_back(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    backend.gateway.refund_result = GatewayResult.NOT_CONNECTED
    reversal = await refund_payment(backend, payment)
    assert (reversal.status, reversal.sent_at) == (ReversalStatus.PENDING, None)
    await run_refund_job(backend, reversal, until=timedelta(minutes=10))
    backend.gateway.refund_result = GatewayResult.PAID
    after = await run_refund_job(backend, reversal, until=timedelta(hours=1))
    assert after.status is ReversalStatus.DONE
    assert backend.gateway.inquired_at == []


async def test_a_refund_that_could_never_be_sent_fails_without_a_case(backend: Backend) -> None:
    payment = await new_success(backend)
    backend.gateway.refund_result = GatewayResult.NOT_CONNECTED
    reversal = await refund_payment(backend, payment)
    after = await run_refund_job(backend, reversal, until=GIVE_UP_AFTER + timedelta(days=2))
    assert after.status is ReversalStatus.FAILED
    assert await backend.cases(payment) == []


async def report(
    backend: Backend, reversal: Reversal, source: EvidenceSource, result: GatewayResult
) -> ReversalStatus:
    evidence = Evidence(source=source, origin="test", result=result)
    return (await refund_execution.apply_evidence(backend.context, reversal.id, evidence)).status


@pytest.mark.invariant(23)
async def test_only_a_settlement_file_corrects_a_failed_refund(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    backend.gateway.refund_result = GatewayResult.DECLINED
    reversal = await refund_payment(backend, payment)
    for source, result in [
        (EvidenceSource.INQUIRY, GatewayResult.PAID),
        (EvidenceSource.FOUR_EYES, GatewayResult.PAID),
        (EvidenceSource.SETTLEMENT, GatewayResult.DECLINED)
    ]:  # fmt: skip
        assert await report(backend, reversal, source, result) is ReversalStatus.FAILED
    assert await balance(payment, "customer_receivable") == payment.amount
    for _ in range(2):
        assert (
            await report(backend, reversal, EvidenceSource.SETTLEMENT, GatewayResult.PAID)
            is ReversalStatus.DONE
        )
        assert await balance(payment, "gateway_clearing:vnpay") == 0
    assert await backend.is_free(payment)
    with pytest.raises(asyncpg.RaiseError, match="DONE is never left"):
        await engine.execute("update reversal set status = 'FAILED' where id = $1", reversal.id)


async def test_a_refund_that_was_never_sent_is_not_corrected(backend: Backend) -> None:
    payment = await new_success(backend)
    backend.gateway.refund_result = GatewayResult.NOT_CONNECTED
    reversal = await refund_payment(backend, payment)
    await run_refund_job(backend, reversal, until=GIVE_UP_AFTER + timedelta(days=2))
    assert (
        await report(backend, reversal, EvidenceSource.SETTLEMENT, GatewayResult.PAID)
        is ReversalStatus.FAILED
    )
    with pytest.raises(asyncpg.RaiseError, match="FAILED is never left"):
        await engine.execute("update reversal set status = 'DONE' where id = $1", reversal.id)


async def test_a_refund_that_stays_unknown_for_a_week_is_one_case(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    backend.gateway.refund_result = GatewayResult.UNKNOWN
    reversal = await refund_payment(backend, payment)
    after = await run_refund_job(backend, reversal, until=GIVE_UP_AFTER + timedelta(days=2))
    assert after.status is ReversalStatus.UNKNOWN
    await jobs.refund(backend.context, reversal.id)
    assert await backend.cases(payment) == ["REFUND_UNKNOWN"]


async def test_a_process_that_dies_while_sending_leaves_an_inquiry_and_no_second_refund(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    payment = await new_success(backend)

    async def crash(*_: object, **__: object) -> Evidence:
        raise asyncio.CancelledError

    monkeypatch.setattr(backend.gateway, "refund", crash)
    with pytest.raises(asyncio.CancelledError):
        await refund_payment(backend, payment)
    (reversal,) = await reversals.of_payment(payment.id)
    assert reversal.status is ReversalStatus.PENDING
    assert reversal.sent_at is not None
    backend.gateway.refund_inquiry_result = GatewayResult.PAID
    after = await run_refund_job(backend, reversal, until=timedelta(minutes=5))
    assert after.status is ReversalStatus.DONE
    assert backend.gateway.refunded == []


async def test_refunds_of_an_attempt_are_sent_one_at_a_time(backend: Backend) -> None:
    payment = await new_success(backend)
    backend.gateway.refund_result = GatewayResult.UNKNOWN
    first = await refund_payment(backend, payment, 10_000)
    backend.gateway.refund_result = GatewayResult.PAID
    second = await refund_payment(backend, payment, 20_000)
    assert (first.status, second.status) == (ReversalStatus.UNKNOWN, ReversalStatus.PENDING)
    backend.gateway.refund_inquiry_result = GatewayResult.PAID
    await run_refund_job(backend, first, until=timedelta(minutes=1))
    after = await run_refund_job(backend, second, until=timedelta(minutes=5))
    assert after.status is ReversalStatus.DONE


@pytest.mark.invariant(17)
async def test_the_database_refuses_to_refund_more_than_was_paid(backend: Backend) -> None:
    payment = await new_success(backend)

    async def open_refund(amount: int) -> bool:
        try:
            async with transaction():
                new = resolve.NewReversal(
                    kind=ReversalKind.REFUND,
                    amount=amount,
                    reason="unchecked",
                    source=resolve.PAID,
                    requested_by="FI001",
                )
                locked = await payments.locked(payment.id)
                await resolve.open_reversal(backend.context, locked, new, backend.clock.at)
        except Exception:
            return False
        return True

    took = await asyncio.gather(*(open_refund(payment.amount) for _ in range(5)))
    assert sum(took) == 1


# ── voids, by the clock and by two people ────────────────────────────────────────────────────────


async def test_a_collector_voids_until_midnight_in_vietnam_and_a_supervisor_after(
    backend: Backend,
) -> None:
    backend.clock.at = datetime(2031, 12, 31, 16, 59, 59, tzinfo=UTC)
    by = await backend.as_staff("NV002")
    payment, other = await cash(backend, by), await cash(backend, by)
    assert (await voided(backend, other, by)).payment.custody is Custody.VOIDED
    backend.clock.move(seconds=1)
    with pytest.raises(NotPermitted):
        await voided(backend, payment, by)
    done = await voided(backend, payment, await backend.as_staff("SV001"))
    assert done.payment.custody is Custody.VOIDED


async def test_a_large_void_waits_for_a_second_person_and_changes_nothing_before(
    backend: Backend,
) -> None:
    by = await backend.collector()
    payment = await cash(backend, by)
    careful = replace(by, terms=replace(by.terms, four_eyes_above=payment.amount - 1))
    reversal = await voided(backend, payment, careful)
    assert reversal.reversal.status is ReversalStatus.AWAITING_APPROVAL
    assert reversal.payment.custody is Custody.HELD_BY_STAFF
    assert not await backend.is_free(payment)
    assert await balance(payment, "customer_receivable") == payment.amount
    assert await backend.cases(payment) == ["APPROVAL"]
    with pytest.raises(NotReversible):
        await voided(backend, payment, careful)
    async with transaction():
        await payments.lock(payment.id)
        done = await resolve.approve(
            backend.context, reversal.reversal.id, approved_by="FI002", now=backend.clock.at
        )
    assert (done.status, done.approved_by) == (ReversalStatus.DONE, "FI002")
    assert await backend.is_free(payment)


async def test_a_rejected_large_refund_has_no_effect_and_can_be_requested_again(
    backend: Backend,
) -> None:
    payment = await new_success(backend)
    finance = await backend.as_staff("FI001")
    careful = replace(finance, terms=replace(finance.terms, four_eyes_above=1))
    reversal = await resolve.refund(
        careful, payment.id, amount=payment.amount, reason="mistake", idempotency_key=key()
    )
    assert reversal.reversal.status is ReversalStatus.AWAITING_APPROVAL
    assert backend.gateway.refunded == []
    assert await reversals.remaining(payment.id, resolve.PAID, payment.currency) == 0
    async with transaction():
        await payments.lock(payment.id)
        rejected = await resolve.reject(backend.context, reversal.reversal.id, now=backend.clock.at)
    assert rejected.status is ReversalStatus.FAILED
    assert (await refund_payment(backend, payment)).status is ReversalStatus.DONE


# ── the real VNPay ───────────────────────────────────────────────────────────────────────────────


async def test_an_inquiry_at_vnpay_reports_the_latest_refund(
    backend: Backend,
) -> None:
    """The real adapter over the sandbox: the refund was made, and its answer lost."""
    context = replace(backend.context, gateways=backend.real)
    by = replace(await backend.as_staff("NV002"), gateways=backend.real)
    qr = await backend.new_payment(by)
    assert qr.attempt is not None
    backend.sandbox.pay(reference=qr.gateway_reference, drop_webhook=True)
    answer = await backend.real[qr.attempt.gateway].inquire(qr.attempt, now=backend.clock.at)
    await evidence.apply(context, qr.attempt.reference, answer)
    with backend.sandbox.broken("vnpay", "reset", after_processing=True):
        finance = replace(await backend.as_staff("FI001"), gateways=backend.real)
        done = await resolve.refund(
            finance, qr.id, amount=10_000, reason="mistake", idempotency_key=key()
        )
    assert done.reversal.status is ReversalStatus.UNKNOWN
    for _ in range(100):
        await asyncio.sleep(0.02)  # within VNPay's five minutes, 0.1 s here, the answer is empty
        backend.clock.move(minutes=6)
        await refund_execution.follow_up(context, done.reversal.id)
        after = await now(done.reversal)
        if after.status is not ReversalStatus.UNKNOWN:
            break
    assert after.status is ReversalStatus.DONE
    assert after.gateway_id
