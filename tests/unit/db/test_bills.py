"""A bill has at most one live or successful payment."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from db import bills, payments
from db.transaction import transaction
from domain.bills import ItemType
from domain.methods import PaymentMethod
from domain.payments import Payment, PaymentStatus
from tests.support.builders import bill_item, fee_item
from tests.support.database import add_collector, add_payment, save_payment, unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]


async def add_rival(payment: Payment) -> tuple[Payment, bool]:
    """Add another collector's payment of the same items; return it and whether it locked them."""
    collector = await add_collector()
    rival = replace(
        payment,
        id=unique("TXN_"),
        staff_id=collector.staff_id,
        receipt_token=unique("R"),
        status=PaymentStatus.PENDING,
    )
    async with transaction():
        return rival, await payments.add(rival)


@pytest.mark.parametrize("status", PaymentStatus)
@pytest.mark.invariant(5)
async def test_a_bill_is_locked_by_a_live_or_successful_payment_and_by_no_other(
    status: PaymentStatus,
) -> None:
    payment = await add_payment(status)
    _, locked = await add_rival(payment)
    assert locked is (payment.is_final and status is not PaymentStatus.SUCCESS)


@pytest.mark.invariant(4)
async def test_one_of_fifty_concurrent_payments_locks_the_bill() -> None:
    payment = await add_payment(PaymentStatus.FAILED)
    rivals = await asyncio.gather(*(add_rival(payment) for _ in range(50)))
    assert [locked for _, locked in rivals].count(True) == 1


async def test_one_locked_item_refuses_all_items_of_a_payment() -> None:
    held = await add_payment()
    both = replace(held, items=(bill_item(unique("U")), *held.items))
    _, locked = await add_rival(both)
    assert not locked


async def test_the_same_number_is_another_item_in_another_contract_or_as_a_fee() -> None:
    held = await add_payment(items=(bill_item("SAME"),), contract_number=unique("C"))
    for other in (
        replace(held, contract_number=unique("C")),
        replace(held, items=(fee_item("SAME"),)),
    ):
        assert (await add_rival(other))[1]


async def test_a_collection_names_the_holder_the_method_and_the_expiry() -> None:
    payment = await add_payment(method=PaymentMethod.VNPAY_QR)
    held = await bills.collections(payment.contract_number)
    collection = held[ItemType.BILL, payment.items[0].id]
    assert (collection.payment_id, collection.staff_name, collection.method) == (
        payment.id,
        "Le Van Cuong",
        PaymentMethod.VNPAY_QR,
    )
    assert collection.lock is not None
    assert collection.lock.until == payment.expires_at
    assert await bills.collections(payment.contract_number, [bill_item("ANOTHER")]) == {}


async def test_a_paid_bill_is_no_longer_locked_but_paid() -> None:
    payment = await add_payment(
        PaymentStatus.SUCCESS, completed_at=(await add_payment()).created_at
    )
    (collection,) = (await bills.collections(payment.contract_number)).values()
    assert (collection.lock, collection.paid_at) == (None, payment.completed_at)


async def test_a_late_success_locks_its_bill_again_unless_another_payment_has_it() -> None:
    payment = await add_payment(PaymentStatus.EXPIRED)
    assert await bills.are_open(payment)
    async with transaction():
        await bills.lock_again(payment)
    assert not (await add_rival(payment))[1]

    late = await add_payment(PaymentStatus.EXPIRED)
    rival, locked = await add_rival(late)
    assert locked
    assert not await bills.are_open(late)
    with pytest.raises(bills.TakenMeanwhile):
        async with transaction():
            await bills.lock_again(late)
    await save_payment(rival, status=PaymentStatus.CANCELLED)
    await bills.release(rival)
    assert await bills.are_open(late)
