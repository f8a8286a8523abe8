"""An idempotency key stands for one payment, however often and however fast it is sent."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.stack.client import Client, new_key
from tests.support.stack.customers import Customer
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.sandbox import EFFECTS_ONCE, Sandbox
from tests.support.stack.waiting import equals, eventually

pytestmark = pytest.mark.anyio


async def test_the_same_key_returns_the_same_payment_in_its_present_state(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    key, bill = new_key(), customer.bills[0]
    first = await collector.process(customer.contract, "VNPAY_QR", bill, key=key)
    assert first["replayed"] is False

    again = await collector.process(customer.contract, "VNPAY_QR", bill, key=key)
    assert again["replayed"] is True
    assert again["payment"] == first["payment"]

    await sandbox.pay(qr=first["payment"]["qr"]["payload"])
    last = await collector.process(customer.contract, "VNPAY_QR", bill, key=key)
    assert last["replayed"] is True
    assert last["payment"]["id"] == first["payment"]["id"]
    assert last["payment"]["status"] == "SUCCESS"
    assert await stored.payments(customer.contract) == ["SUCCESS"]


@pytest.mark.parametrize("method", ["CASH", "VNPAY_QR", "FPT_PAY"])
async def test_ten_requests_at_once_with_one_key_are_one_payment(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView, method: str
) -> None:
    key, bill = new_key(), customer.bills[0]

    answers = await asyncio.gather(
        *(collector.process(customer.contract, method, bill, key=key) for _ in range(10))
    )

    assert [answer["errors"] for answer in answers] == [[]] * 10
    assert len({answer["payment"]["id"] for answer in answers}) == 1
    assert sorted(answer["replayed"] for answer in answers) == [False] + [True] * 9
    assert len(await stored.payments(customer.contract)) == 1
    payment = answers[0]["payment"]
    if method == "CASH":
        await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)
        assert len(await stored.entries(payment["id"])) == 1
    else:
        reference = (await collector.office_view(payment["id"]))["gatewayReference"]
        truth = await sandbox.truth()
        assert [charge["reference"] for charge in truth["charges"]].count(reference) == 1
        assert len({str(answer["payment"]) for answer in answers}) == 1


async def test_the_same_key_with_another_input_is_refused_without_any_effect(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    key = new_key()
    paid, other = customer.bills[:2]
    payment = await collector.pay(customer.contract, "CASH", paid, key=key)
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)
    limits = await collector.limits()

    for bills, method in (((other,), "CASH"), ((paid,), "VNPAY_QR"), ((paid, other), "CASH")):
        payload = await collector.process(customer.contract, method, *bills, key=key)
        assert payload["payment"] is None
        (refusal,) = payload["errors"]
        assert refusal["code"] == "IDEMPOTENCY_KEY_REUSED"
        assert refusal["paymentId"] == payment["id"]

    assert await stored.payments(customer.contract) == ["SUCCESS"]
    assert await collector.limits() == limits
    assert (await collector.bills(customer.contract))[other["billNumber"]]["lock"] is None
    assert await sandbox.effects(payment["id"]) == EFFECTS_ONCE


async def test_a_refused_key_may_be_used_again(collector: Client, customer: Customer) -> None:
    key, bill = new_key(), customer.bills[0]
    wrong = {**bill, "amount": bill["amount"] + 1}
    refused = await collector.process(customer.contract, "CASH", wrong, key=key)
    assert [error["code"] for error in refused["errors"]] == ["AMOUNT_MISMATCH"]

    payment = await collector.pay(customer.contract, "CASH", bill, key=key)

    assert payment["status"] == "SUCCESS"


async def test_two_members_of_staff_may_choose_the_same_key(
    make_collector, collector: Client, customer: Customer
) -> None:
    key = new_key()
    colleague = await make_collector()
    own, other = await asyncio.gather(
        collector.pay(customer.contract, "CASH", customer.bills[0], key=key),
        colleague.pay(customer.contract, "CASH", customer.bills[1], key=key),
    )
    assert own["id"] != other["id"]
    await eventually(lambda: collector.payment(own["id"]))
