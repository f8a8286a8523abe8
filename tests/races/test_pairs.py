"""
Everything that can happen to a payment, each two at once, in both orders: the money is right, and once.

Both stand before the payment's row before either may go on. Which of them is refused depends on the
order; what must hold does not. `make test` draws some of the pairs, `make crash` has them all.
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
from tests.races.evidence import said, wrong
from tests.races.holding import one_after_the_other
from tests.support.backend import Backend
from tests.support.proof import share
from tests.support.running_api import key

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

Act = Callable[[Backend, Payment], Awaitable[Any]]
SHARE = 8  # pairs of each kind, where not all are asked for


# ── what happens to an open payment ──────────────────────────────────────────────────────────────


async def paid_by_webhook(backend: Backend, payment: Payment) -> None:
    await said(backend, payment, GatewayResult.PAID, EvidenceSource.WEBHOOK)


async def found_paid(backend: Backend, payment: Payment) -> None:
    await said(backend, payment, GatewayResult.PAID, EvidenceSource.INQUIRY)


async def declined_by_webhook(backend: Backend, payment: Payment) -> None:
    await said(backend, payment, GatewayResult.DECLINED, EvidenceSource.WEBHOOK)


async def suspected(backend: Backend, payment: Payment) -> None:
    await said(backend, payment, GatewayResult.SUSPICIOUS, EvidenceSource.WEBHOOK)


async def cancelled(backend: Backend, payment: Payment) -> None:
    await payment_inquiry.cancel(
        await backend.by(payment.staff_id), payment.id, reason="left the house"
    )


async def expired(backend: Backend, payment: Payment) -> None:
    async def late() -> Any:
        return payment.expires_at

    await jobs.follow_up(replace(backend.context, clock=late), payment.id)


OPEN: tuple[Act, ...] = (
    paid_by_webhook,
    found_paid,
    declined_by_webhook,
    suspected,
    cancelled,
    expired,
)
PAYS = {paid_by_webhook, found_paid}


@pytest.mark.parametrize(
    ("first", "second"),
    share(list(itertools.product(OPEN, OPEN)), SHARE, "open"),
    ids=lambda act: act.__name__,
)
async def test_two_things_at_once_happen_to_an_open_payment(
    backend: Backend, first: Act, second: Act
) -> None:
    payment = await backend.pays(await backend.collector())
    done = await one_after_the_other(
        payment.id, [lambda: first(backend, payment), lambda: second(backend, payment)]
    )
    only_refusals(done)
    backend.gateway.says = GatewayResult.PAID if {first, second} & PAYS else GatewayResult.UNPAID
    await at_rest(backend, payment)
    after = await backend.again(payment)
    booked = await received(payment)
    if {first, second} & PAYS:
        assert booked == payment.amount, "what was paid is booked, once"
        held = after.hold_reason is not None
        assert after.status is (PaymentStatus.PROCESSING if held else PaymentStatus.SUCCESS)
        assert held == (suspected in (first, second) and after.status is not PaymentStatus.SUCCESS)
    else:
        assert booked == 0
        assert after.status is not PaymentStatus.SUCCESS
    assert await wrong(backend) == []


# ── what happens to cash ─────────────────────────────────────────────────────────────────────────


async def voided(backend: Backend, payment: Payment) -> None:
    by = await backend.by(payment.staff_id)
    await reversals.void(by, payment.id, reason="wrong bill", idempotency_key=key())


async def handed_in(backend: Backend, payment: Payment) -> None:
    asked = SubmitHandIn(idempotency_key=key(), counted_amount=payment.amount, note=None)
    await hand_ins.submit(await backend.by(payment.staff_id), asked)


async def refunded(backend: Backend, payment: Payment) -> None:
    await reversals.refund(
        await backend.by("FI001"),
        payment.id,
        amount=payment.amount,
        reason="paid by mistake",
        idempotency_key=key(),
    )


CASH: tuple[Act, ...] = (voided, handed_in, refunded, cancelled)


@pytest.mark.parametrize(
    ("first", "second"),
    share(list(itertools.product(CASH, CASH)), SHARE, "cash"),
    ids=lambda act: act.__name__,
)
async def test_two_things_at_once_happen_to_cash(backend: Backend, first: Act, second: Act) -> None:
    payment = await backend.pays(await backend.collector(), PaymentMethod.CASH)
    done = await one_after_the_other(
        payment.id, [lambda: first(backend, payment), lambda: second(backend, payment)]
    )
    only_refusals(done)
    await at_rest(backend, payment)
    after = await backend.again(payment)
    won = {act for act, item in zip((first, second), done, strict=True) if item is None}
    assert after.status is PaymentStatus.SUCCESS
    assert after.custody is (
        Custody.VOIDED
        if voided in won
        else Custody.HANDED_IN
        if handed_in in won
        else Custody.HELD_BY_STAFF
    )
    assert not {voided, handed_in} <= won, "it is in one place"
    assert await received(payment) == (0 if voided in won else payment.amount)
    assert await backend.is_free(payment) == bool({voided, refunded} & won)
    assert await wrong(backend) == []


# ── what happens to a success by a gateway ───────────────────────────────────────────────────────

SUCCESS: tuple[Act, ...] = (refunded, found_paid, paid_by_webhook, declined_by_webhook, cancelled)


@pytest.mark.parametrize("second", share(SUCCESS, 3, "success"), ids=lambda act: act.__name__)
@pytest.mark.parametrize("refund_is_first", [True, False], ids=["refund first", "refund second"])
async def test_a_refund_and_something_else_happen_at_once(
    backend: Backend, second: Act, refund_is_first: bool
) -> None:
    payment = await backend.pays(await backend.collector())
    await found_paid(backend, payment)
    acts = [lambda: refunded(backend, payment), lambda: second(backend, payment)]
    done = await one_after_the_other(payment.id, acts if refund_is_first else acts[::-1])
    only_refusals(done)
    await at_rest(backend, payment)
    assert (await backend.again(payment)).status is PaymentStatus.SUCCESS
    assert len(backend.gateway.refunded) == 1, "never more than was captured"
    assert await received(payment) == 0
    assert await backend.is_free(payment)
    assert await wrong(backend) == []


# ── what is the same for all ─────────────────────────────────────────────────────────────────────


def only_refusals(done: list[Any]) -> None:
    faults = [item for item in done if isinstance(item, Exception)]
    assert all(isinstance(fault, Refusal | Refused) for fault in faults), faults


async def at_rest(backend: Backend, payment: Payment) -> None:
    passed = await run_due_jobs(system(backend), only=payment.id)
    assert passed.failed == []


def system(backend: Backend) -> Context:
    return replace(backend.context, gateways=Gateways([backend.gateway]))


async def received(payment: Payment) -> int:
    """What the ledger says has arrived for the payment and has not left again."""
    return int(
        await engine.fetchval(
            """
            select coalesce(sum(case when debit like '%clearing%' or debit = 'staff_cash' then amount
                                     when credit like '%clearing%' or credit = 'staff_cash' then -amount
                                end), 0)
              from posting join entry on entry.id = entry where payment = $1
            """,
            payment.id,
        )
    )
