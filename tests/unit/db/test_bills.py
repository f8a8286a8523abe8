"""One live or successful collection of a bill, whoever asks."""

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
from tests.support.database import a_collector, a_kept_payment, save, unique

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("connected")]


async def another_for(payment: Payment) -> tuple[Payment, bool]:
    """Let somebody else try to collect the same items; return their payment and whether it got them."""
    by = await a_collector()
    rival = replace(
        payment,
        id=unique("TXN_"),
        staff_id=by.staff_id,
        receipt_token=unique("R"),
        status=PaymentStatus.PENDING,
    )
    async with transaction():
        await payments.add(rival)
        return rival, await bills.lock(rival)


@pytest.mark.parametrize("status", PaymentStatus)
async def test_a_bill_is_held_by_a_live_or_successful_collection_and_free_after_any_other_end(
    status: PaymentStatus,
) -> None:
    payment = await a_kept_payment(status)
    _, got = await another_for(payment)
    assert got is (payment.is_final and status is not PaymentStatus.SUCCESS)


async def test_one_of_fifty_who_want_a_bill_at_once_gets_it() -> None:
    payment = await a_kept_payment(PaymentStatus.FAILED)
    rivals = await asyncio.gather(*(another_for(payment) for _ in range(50)))
    assert [got for _, got in rivals].count(True) == 1


async def test_a_bill_of_two_is_enough_to_be_refused_both() -> None:
    held = await a_kept_payment()
    both = replace(held, items=(bill_item(unique("U")), *held.items))
    _, got = await another_for(both)
    assert not got


async def test_one_number_is_another_bill_in_another_contract_and_as_a_fee() -> None:
    held = await a_kept_payment(items=(bill_item("SAME"),), contract_number=unique("C"))
    for other in (
        replace(held, contract_number=unique("C")),
        replace(held, items=(fee_item("SAME"),)),
    ):
        assert (await another_for(other))[1]


async def test_who_holds_a_bill_is_told_with_the_method_and_until_when() -> None:
    payment = await a_kept_payment(method=PaymentMethod.VNPAY_QR)
    held = await bills.collections(payment.contract_number)
    found = held[ItemType.BILL, payment.items[0].id]
    assert (found.payment_id, found.staff_name, found.method) == (
        payment.id,
        "Le Van Cuong",
        PaymentMethod.VNPAY_QR,
    )
    assert found.lock is not None
    assert found.lock.until == payment.expires_at
    assert await bills.collections(payment.contract_number, [bill_item("NOT ASKED")]) == {}


async def test_a_paid_bill_is_no_longer_locked_but_paid() -> None:
    payment = await a_kept_payment(
        PaymentStatus.SUCCESS, completed_at=(await a_kept_payment()).created_at
    )
    (found,) = (await bills.collections(payment.contract_number)).values()
    assert (found.lock, found.paid_at) == (None, payment.completed_at)


async def test_a_late_success_takes_its_bill_back_unless_another_took_it() -> None:
    payment = await a_kept_payment(PaymentStatus.EXPIRED)
    assert await bills.are_open(payment)
    async with transaction():
        await bills.lock_again(payment)
    assert not (await another_for(payment))[1]

    lost = await a_kept_payment(PaymentStatus.EXPIRED)
    rival, got = await another_for(lost)
    assert got
    assert not await bills.are_open(lost)
    with pytest.raises(bills.TakenMeanwhile):
        async with transaction():
            await bills.lock_again(lost)
    await save(rival, status=PaymentStatus.CANCELLED)
    await bills.release(rival)
    assert await bills.are_open(lost)
