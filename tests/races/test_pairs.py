"""
Each two events of a payment at the same time, in both orders: the money is right and booked once.

Both wait for the payment's row before either continues. Which of them is refused depends on the
order; the rules hold in both. `make test` draws some pairs, `make crash` runs all.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from db import engine
from domain.hand_ins import SubmitHandIn
from domain.methods import PaymentMethod
from domain.payment_evidence import EvidenceSource, GatewayResult
from domain.payments import Custody, Payment, PaymentStatus
from domain.refusals import Refusal, Refused
from integrations.gateways import Gateways
from resolvers import hand_ins, jobs, payment_inquiry, reversals
from resolvers.context import Context
from tests.crash.due_jobs import run_due_jobs
from tests.races.evidence import apply_evidence, violations
from tests.races.row_lock import one_after_the_other
from tests.support.backend import Backend
from tests.support.clocks import SetClock
from tests.support.proof import share
from tests.support.running_api import key

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

Act = Callable[[Backend, Payment], Awaitable[Any]]
DRAWN_PAIRS = 8  # of each kind, unless all run


# ── events of an open payment ────────────────────────────────────────────────────────────────────


async def report_paid(backend: Backend, payment: Payment) -> None:
    await apply_evidence(backend, payment, GatewayResult.PAID, EvidenceSource.WEBHOOK)


async def inquire_paid(backend: Backend, payment: Payment) -> None:
    await apply_evidence(backend, payment, GatewayResult.PAID, EvidenceSource.INQUIRY)


async def report_declined(backend: Backend, payment: Payment) -> None:
    await apply_evidence(backend, payment, GatewayResult.DECLINED, EvidenceSource.WEBHOOK)


async def report_suspicious(backend: Backend, payment: Payment) -> None:
    await apply_evidence(backend, payment, GatewayResult.SUSPICIOUS, EvidenceSource.WEBHOOK)


async def cancel(backend: Backend, payment: Payment) -> None:
    await payment_inquiry.cancel(
        await backend.as_staff(payment.staff_id), payment.id, reason="customer left"
    )


async def expire(backend: Backend, payment: Payment) -> None:
    async def clock() -> Any:
        return payment.expires_at

    await jobs.follow_up(replace(backend.context, clock=SetClock(clock)), payment.id)


OPEN: tuple[Act, ...] = (
    report_paid,
    inquire_paid,
    report_declined,
    report_suspicious,
    cancel,
    expire,
)
PAYING = {report_paid, inquire_paid}


@pytest.mark.parametrize(
    ("first", "second"),
    share(list(itertools.product(OPEN, OPEN)), DRAWN_PAIRS, "open"),
    ids=lambda act: act.__name__,
)
async def test_two_events_of_an_open_payment_at_once(
    backend: Backend, first: Act, second: Act
) -> None:
    payment = await backend.new_payment(await backend.collector())
    done = await one_after_the_other(
        payment.id, [lambda: first(backend, payment), lambda: second(backend, payment)]
    )
    only_refusals(done)
    backend.gateway.inquiry_result = (
        GatewayResult.PAID if {first, second} & PAYING else GatewayResult.UNPAID
    )
    await run_jobs_of(backend, payment)
    after = await backend.reload(payment)
    booked = await received(payment)
    if {first, second} & PAYING:
        assert booked == payment.amount, "the payment is booked once"
        held = after.hold_reason is not None
        assert after.status is (PaymentStatus.PROCESSING if held else PaymentStatus.SUCCESS)
        assert held == (
            report_suspicious in (first, second) and after.status is not PaymentStatus.SUCCESS
        )
    else:
        assert booked == 0
        assert after.status is not PaymentStatus.SUCCESS
    assert await violations(backend) == []


# ── events of cash ───────────────────────────────────────────────────────────────────────────────


async def void(backend: Backend, payment: Payment) -> None:
    by = await backend.as_staff(payment.staff_id)
    await reversals.void(by, payment.id, reason="wrong bill", idempotency_key=key())


async def hand_in(backend: Backend, payment: Payment) -> None:
    command = SubmitHandIn(idempotency_key=key(), counted_amount=payment.amount, note=None)
    await hand_ins.submit(await backend.as_staff(payment.staff_id), command)


async def refund(backend: Backend, payment: Payment) -> None:
    await reversals.refund(
        await backend.as_staff("FI001"),
        payment.id,
        amount=payment.amount,
        reason="paid by mistake",
        idempotency_key=key(),
    )


CASH: tuple[Act, ...] = (void, hand_in, refund, cancel)


@pytest.mark.parametrize(
    ("first", "second"),
    share(list(itertools.product(CASH, CASH)), DRAWN_PAIRS, "cash"),
    ids=lambda act: act.__name__,
)
async def test_two_events_of_a_cash_payment_at_once(
    backend: Backend, first: Act, second: Act
) -> None:
    payment = await backend.new_payment(await backend.collector(), PaymentMethod.CASH)
    done = await one_after_the_other(
        payment.id, [lambda: first(backend, payment), lambda: second(backend, payment)]
    )
    only_refusals(done)
    await run_jobs_of(backend, payment)
    after = await backend.reload(payment)
    succeeded = {act for act, result in zip((first, second), done, strict=True) if result is None}
    assert after.status is PaymentStatus.SUCCESS
    assert after.custody is (
        Custody.VOIDED
        if void in succeeded
        else Custody.HANDED_IN
        if hand_in in succeeded
        else Custody.HELD_BY_STAFF
    )
    assert not {void, hand_in} <= succeeded, "cash is in one place"
    assert await received(payment) == (0 if void in succeeded else payment.amount)
    assert await backend.is_free(payment) == bool({void, refund} & succeeded)
    assert await violations(backend) == []


# ── events of a success by a gateway ─────────────────────────────────────────────────────────────

SUCCESS: tuple[Act, ...] = (refund, inquire_paid, report_paid, report_declined, cancel)


@pytest.mark.parametrize("second", share(SUCCESS, 3, "success"), ids=lambda act: act.__name__)
@pytest.mark.parametrize("refund_is_first", [True, False], ids=["refund first", "refund second"])
async def test_a_refund_and_another_event_at_once(
    backend: Backend, second: Act, refund_is_first: bool
) -> None:
    payment = await backend.new_payment(await backend.collector())
    await inquire_paid(backend, payment)
    acts = [lambda: refund(backend, payment), lambda: second(backend, payment)]
    done = await one_after_the_other(payment.id, acts if refund_is_first else acts[::-1])
    only_refusals(done)
    await run_jobs_of(backend, payment)
    assert (await backend.reload(payment)).status is PaymentStatus.SUCCESS
    assert len(backend.gateway.refunded) == 1, "never more than was paid"
    assert await received(payment) == 0
    assert await backend.is_free(payment)
    assert await violations(backend) == []


# ── shared steps and checks ──────────────────────────────────────────────────────────────────────


def only_refusals(results: list[Any]) -> None:
    """Check that no act ended with a fault."""
    errors = [result for result in results if isinstance(result, Exception)]
    assert all(isinstance(error, Refusal | Refused) for error in errors), errors


async def run_jobs_of(backend: Backend, payment: Payment) -> None:
    run = await run_due_jobs(system(backend), only=payment.id)
    assert run.failed == []


def system(backend: Backend) -> Context:
    return replace(backend.context, gateways=Gateways([backend.gateway]))


async def received(payment: Payment) -> int:
    """Return what the ledger has received for the payment, less what was refunded."""
    return int(
        await engine.fetchval(
            """
            select coalesce(sum(case
                     when debit like '%clearing%' or debit = 'staff_cash' then amount
                     when credit like '%clearing%' or credit = 'staff_cash' then -amount end), 0)
              from posting join entry on entry.id = entry where payment = $1
            """,
            payment.id,
        )
    )
