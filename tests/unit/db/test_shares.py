"""A refund's share in the gateway's currency: stored as given, never more than was charged."""

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
from tests.support.database import add_payment, unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]


async def add_dollar_payment() -> Payment:
    """Add a success of 200,000 VND, for which PayPal charged 770 cents."""
    payment = await add_payment(PaymentStatus.SUCCESS, method=PaymentMethod.PAYPAL)
    assert payment.attempt is not None
    await engine.execute(
        "update attempt set amount = 770, currency = 'USD' where reference = $1",
        payment.attempt.reference,
    )
    return payment


def a_refund(payment: Payment, amount: int, share: Money | None) -> Reversal:
    return Reversal(
        id=unique("REV_"), payment_id=payment.id, kind=ReversalKind.REFUND,
        status=ReversalStatus.PENDING, amount=amount, currency=Currency.VND,
        source=Account.CUSTOMER_RECEIVABLE, reason="paid twice", requested_by="FI001",
        reference=payment.gateway_reference, gateway=GatewayName.PAYPAL,
        created_at=NOW, updated_at=NOW, share=share,
    )  # fmt: skip


async def add_refund(payment: Payment, reversal: Reversal) -> None:
    """Add the refund with its postings, as a request for one does."""
    async with transaction():
        await payments.lock(payment.id)
        await reversals.add(reversal)
        postings = booked(payment, None, reversal)
        await ledger.post_and_audit(
            "REFUND", postings, NOW, payment_id=payment.id, reversal_id=reversal.id
        )


async def test_a_share_is_read_as_it_was_added() -> None:
    payment = await add_dollar_payment()
    for share in (Money(385, Currency.USD), None):
        refund = a_refund(payment, 1000, share)
        await add_refund(payment, refund)
        found = await reversals.by_id(refund.id)
        assert found is not None
        assert (found.share, found.gateway_money) == (share, share or Money(1000))


@pytest.mark.invariant(24)
async def test_shares_never_exceed_what_the_gateway_charged() -> None:
    payment = await add_dollar_payment()
    await add_refund(payment, a_refund(payment, 100_000, Money(385, Currency.USD)))
    too_much = a_refund(payment, 100_000, Money(386, Currency.USD))
    with pytest.raises(asyncpg.RaiseError, match="its share is not of what"):
        await add_refund(payment, too_much)
    assert await reversals.by_id(too_much.id) is None
    await add_refund(payment, replace(too_much, share=Money(385, Currency.USD)))


async def test_one_of_several_concurrent_refunds_gets_the_rest() -> None:
    payment = await add_dollar_payment()
    refunds = [a_refund(payment, 1000, Money(400, Currency.USD)) for _ in range(5)]
    results = await asyncio.gather(
        *(add_refund(payment, refund) for refund in refunds), return_exceptions=True
    )
    assert (
        sorted(isinstance(result, asyncpg.RaiseError) for result in results) == [False] + [True] * 4
    )


async def test_the_share_of_a_failed_refund_is_available_again() -> None:
    payment = await add_dollar_payment()
    first = a_refund(payment, 100_000, Money(770, Currency.USD))
    await add_refund(payment, first)
    async with transaction():
        await reversals.save(replace(first, status=ReversalStatus.FAILED))
    await add_refund(payment, a_refund(payment, 100_000, Money(770, Currency.USD)))


@pytest.mark.parametrize("share", [Money(770), Money(0, Currency.USD), Money(-1, Currency.USD)])
@pytest.mark.invariant(24)
async def test_a_share_is_positive_and_in_the_currency_of_the_gateway(share: Money) -> None:
    payment = await add_dollar_payment()
    refund = a_refund(payment, 100_000, share)
    with pytest.raises((asyncpg.RaiseError, asyncpg.CheckViolationError)):
        await add_refund(payment, refund)
    assert await reversals.by_id(refund.id) is None


@pytest.mark.parametrize("change", ["share = share - 1", "share_currency = 'EUR'", "share = null"])
async def test_a_share_never_changes(change: str, owner: asyncpg.Connection) -> None:
    payment = await add_dollar_payment()
    refund = a_refund(payment, 100_000, Money(385, Currency.USD))
    await add_refund(payment, refund)
    with pytest.raises(asyncpg.RaiseError, match="what was asked for never changes"):
        await owner.execute(f"update reversal set {change} where id = $1", refund.id)
