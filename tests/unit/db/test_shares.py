"""What a refund is in another currency: kept as it was worked out, and never more than its gateway took."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from db import engine, ledger, payments, reversals
from db.transaction import transaction
from domain.ledger import Account
from domain.methods import GatewayName, PaymentMethod
from domain.money import Currency, Money
from domain.payments import Payment, PaymentStatus
from domain.reversals import Reversal, ReversalKind, ReversalStatus, booked
from tests.support.builders import NOW
from tests.support.database import a_kept_payment, unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]


async def paid_in_dollars() -> Payment:
    """Keep a success of 200,000 VND that PayPal was asked 770 cents for."""
    payment = await a_kept_payment(PaymentStatus.SUCCESS, method=PaymentMethod.PAYPAL)
    assert payment.attempt is not None
    await engine.execute(
        "update attempt set amount = 770, currency = 'USD' where reference = $1",
        payment.attempt.reference,
    )
    return payment


def a_refund(payment: Payment, amount: int, share: Money | None) -> Reversal:
    return Reversal(
        id=unique("REV_"), payment_id=payment.id, kind=ReversalKind.REFUND, status=ReversalStatus.PENDING,
        amount=amount, currency=Currency.VND, source=Account.CUSTOMER_RECEIVABLE, reason="paid twice",
        requested_by="FI001", reference=payment.gateway_reference, gateway=GatewayName.PAYPAL,
        created_at=NOW, updated_at=NOW, share=share,
    )  # fmt: skip


async def keep(payment: Payment, reversal: Reversal) -> None:
    async with transaction():
        await payments.lock(payment.id)
        await reversals.add(reversal)
        postings = booked(payment, None, reversal)
        await ledger.post_and_audit(
            "REFUND", postings, NOW, payment_id=payment.id, reversal_id=reversal.id
        )


async def test_a_share_is_read_back_as_it_was_kept() -> None:
    payment = await paid_in_dollars()
    for share in (Money(385, Currency.USD), None):
        made = a_refund(payment, 1000, share)
        await keep(payment, made)
        found = await reversals.by_id(made.id)
        assert found is not None
        assert (found.share, found.asked) == (share, share or Money(1000))


async def test_no_more_is_shared_out_than_the_gateway_was_asked_for() -> None:
    payment = await paid_in_dollars()
    await keep(payment, a_refund(payment, 100_000, Money(385, Currency.USD)))
    too_much = a_refund(payment, 100_000, Money(386, Currency.USD))
    with pytest.raises(asyncpg.RaiseError, match="its share is not of what"):
        await keep(payment, too_much)
    assert await reversals.by_id(too_much.id) is None
    await keep(payment, replace(too_much, share=Money(385, Currency.USD)))


async def test_of_several_that_share_out_the_rest_at_once_one_does() -> None:
    payment = await paid_in_dollars()
    rest = [a_refund(payment, 1000, Money(400, Currency.USD)) for _ in range(5)]
    done = await asyncio.gather(*(keep(payment, item) for item in rest), return_exceptions=True)
    assert sorted(isinstance(item, asyncpg.RaiseError) for item in done) == [False] + [True] * 4


async def test_what_failed_is_shared_out_again() -> None:
    payment = await paid_in_dollars()
    first = a_refund(payment, 100_000, Money(770, Currency.USD))
    await keep(payment, first)
    async with transaction():
        await reversals.save(replace(first, status=ReversalStatus.FAILED))
    await keep(payment, a_refund(payment, 100_000, Money(770, Currency.USD)))


@pytest.mark.parametrize("share", [Money(770), Money(0, Currency.USD), Money(-1, Currency.USD)])
async def test_a_share_is_positive_and_in_the_currency_of_the_gateway(share: Money) -> None:
    payment = await paid_in_dollars()
    made = a_refund(payment, 100_000, share)
    with pytest.raises((asyncpg.RaiseError, asyncpg.CheckViolationError)):
        await keep(payment, made)
    assert await reversals.by_id(made.id) is None


@pytest.mark.parametrize("change", ["share = share - 1", "share_currency = 'EUR'", "share = null"])
async def test_a_share_never_changes(change: str, owner: asyncpg.Connection) -> None:
    payment = await paid_in_dollars()
    made = a_refund(payment, 100_000, Money(385, Currency.USD))
    await keep(payment, made)
    with pytest.raises(asyncpg.RaiseError, match="what was asked for never changes"):
        await owner.execute(f"update reversal set {change} where id = $1", made.id)
