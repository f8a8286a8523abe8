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
from domain.payment_evidence import Evidence, Finding, Grade
from domain.payments import Custody, Payment, PaymentStatus
from domain.refusals import Refusal, Refused
from integrations.gateways import Gateways
from resolvers import hand_ins, jobs, payment_inquiry, reversals
from resolvers.context import Context
from resolvers.payment_evidence import apply
from tests.crash import night
from tests.crash.judge import broken
from tests.races.holding import one_after_the_other
from tests.support.proof import share
from tests.support.running_api import key
from tests.unit.resolvers.conftest import House

pytest_plugins = ["tests.support.running_api"]
pytestmark = pytest.mark.anyio

Act = Callable[[House, Payment], Awaitable[Any]]
SHARE = 8  # pairs of each kind, where not all are asked for


async def said(house: House, payment: Payment, finding: Finding, grade: Grade) -> None:
    assert payment.attempt is not None
    paid = finding is Finding.PAID
    saying = Evidence(
        grade=grade,
        source=f"test:{grade.lower()}",
        finding=finding,
        money=payment.attempt.money if paid else None,
        gateway_id="G1" if paid else None,
    )
    await apply(house.context, payment.attempt.reference, saying)


# ── what happens to an open payment ──────────────────────────────────────────────────────────────


async def paid_by_webhook(house: House, payment: Payment) -> None:
    await said(house, payment, Finding.PAID, Grade.E1)


async def found_paid(house: House, payment: Payment) -> None:
    await said(house, payment, Finding.PAID, Grade.E2)


async def declined_by_webhook(house: House, payment: Payment) -> None:
    await said(house, payment, Finding.DECLINED, Grade.E1)


async def suspected(house: House, payment: Payment) -> None:
    await said(house, payment, Finding.SUSPICIOUS, Grade.E1)


async def cancelled(house: House, payment: Payment) -> None:
    await payment_inquiry.cancel(
        await house.by(payment.staff_id), payment.id, reason="left the house"
    )


async def expired(house: House, payment: Payment) -> None:
    async def late() -> Any:
        return payment.expires_at

    await jobs.follow_up(replace(house.context, clock=late), payment.id)


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
    house: House, first: Act, second: Act
) -> None:
    payment = await house.pays(await house.collector())
    done = await one_after_the_other(
        payment.id, [lambda: first(house, payment), lambda: second(house, payment)]
    )
    only_refusals(done)
    house.gateway.says = Finding.PAID if {first, second} & PAYS else Finding.UNPAID
    await at_rest(house, payment)
    after = await house.again(payment)
    booked = await received(payment)
    if {first, second} & PAYS:
        assert booked == payment.amount, "what was paid is booked, once"
        held = after.hold_reason is not None
        assert after.status is (PaymentStatus.PROCESSING if held else PaymentStatus.SUCCESS)
        assert held == (suspected in (first, second) and after.status is not PaymentStatus.SUCCESS)
    else:
        assert booked == 0
        assert after.status is not PaymentStatus.SUCCESS
    assert await wrong(house) == []


# ── what happens to cash ─────────────────────────────────────────────────────────────────────────


async def voided(house: House, payment: Payment) -> None:
    by = await house.by(payment.staff_id)
    await reversals.void(by, payment.id, reason="wrong bill", idempotency_key=key())


async def handed_in(house: House, payment: Payment) -> None:
    asked = SubmitHandIn(idempotency_key=key(), counted_amount=payment.amount, note=None)
    await hand_ins.submit(await house.by(payment.staff_id), asked)


async def refunded(house: House, payment: Payment) -> None:
    await reversals.refund(
        await house.by("FI001"),
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
async def test_two_things_at_once_happen_to_cash(house: House, first: Act, second: Act) -> None:
    payment = await house.pays(await house.collector(), PaymentMethod.CASH)
    done = await one_after_the_other(
        payment.id, [lambda: first(house, payment), lambda: second(house, payment)]
    )
    only_refusals(done)
    await at_rest(house, payment)
    after = await house.again(payment)
    won = {act for act, one in zip((first, second), done, strict=True) if one is None}
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
    assert await house.is_free(payment) == bool({voided, refunded} & won)
    assert await wrong(house) == []


# ── what happens to a success by a gateway ───────────────────────────────────────────────────────

SUCCESS: tuple[Act, ...] = (refunded, found_paid, paid_by_webhook, declined_by_webhook, cancelled)


@pytest.mark.parametrize("second", share(SUCCESS, 3, "success"), ids=lambda act: act.__name__)
@pytest.mark.parametrize("refund_is_first", [True, False], ids=["refund first", "refund second"])
async def test_a_refund_and_something_else_happen_at_once(
    house: House, second: Act, refund_is_first: bool
) -> None:
    payment = await house.pays(await house.collector())
    await found_paid(house, payment)
    acts = [lambda: refunded(house, payment), lambda: second(house, payment)]
    done = await one_after_the_other(payment.id, acts if refund_is_first else acts[::-1])
    only_refusals(done)
    await at_rest(house, payment)
    assert (await house.again(payment)).status is PaymentStatus.SUCCESS
    assert len(house.gateway.refunded) == 1, "never more than was captured"
    assert await received(payment) == 0
    assert await house.is_free(payment)
    assert await wrong(house) == []


# ── what is the same for all ─────────────────────────────────────────────────────────────────────


def only_refusals(done: list[Any]) -> None:
    faults = [one for one in done if isinstance(one, Exception)]
    assert all(isinstance(fault, Refusal | Refused) for fault in faults), faults


async def at_rest(house: House, payment: Payment) -> None:
    passed = await night.pass_(system(house), only=payment.id)
    assert passed.failed == []


def system(house: House) -> Context:
    return replace(house.context, gateways=Gateways([house.gateway]))


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


async def wrong(house: House) -> list[str]:
    connection = await engine.own_connection()
    try:
        return await broken(connection, quiet=False)
    finally:
        await connection.close()
