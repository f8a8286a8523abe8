"""Cash: a success at once, held by the member of staff, recorded once in each system."""

from __future__ import annotations

import pytest

from tests.support.stack.client import Client, is_genuine
from tests.support.stack.customers import Customer
from tests.support.stack.sandbox import EFFECTS_ONCE, Sandbox
from tests.support.stack.waiting import equals, eventually

pytestmark = pytest.mark.anyio


async def test_cash_is_a_success_at_once_and_is_held_by_the_member_of_staff(
    collector: Client, customer: Customer
) -> None:
    bill = customer.bills[0]
    before = await collector.limits()

    payment = await collector.pay(customer.contract, "CASH", bill)

    assert payment["status"] == "SUCCESS"
    assert payment["custody"] == "HELD_BY_STAFF"
    assert payment["amount"] == bill["amount"]
    assert payment["completedAt"] is not None
    after = await collector.limits()
    for kind in ("DAILY", "CASH_IN_HAND"):
        assert after[kind]["used"] == before[kind]["used"] + bill["amount"]
        assert after[kind]["remaining"] == before[kind]["remaining"] - bill["amount"]
        assert after[kind]["reserved"] == 0


async def test_cash_reaches_revenue_debt_and_the_customer_once(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    paid, other = customer.bills[:2]
    wish = {"hifpt": True, "smsZalo": True, "email": False}

    payment = await collector.pay(customer.contract, "CASH", paid, notify=wish)

    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)
    truth = await sandbox.truth()
    (record,) = (record for record in truth["records"] if record["transaction_id"] == payment["id"])
    (item,) = record["items"]
    assert (item["id"], item["amount"]) == (paid["billNumber"], paid["amount"])
    bills = await eventually(
        lambda: collector.bills(customer.contract),
        lambda bills: bills.get(paid["billNumber"], {"status": "PAID"})["status"] == "PAID",
    )
    assert bills[other["billNumber"]]["status"] == "UNPAID"


async def test_several_bills_are_one_payment(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    payment = await collector.pay(customer.contract, "CASH", *customer.bills)

    assert payment["amount"] == sum(bill["amount"] for bill in customer.bills)
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)


async def test_anyone_can_check_the_receipt_and_a_changed_amount_fails_the_check(
    collector: Client, customer: Customer
) -> None:
    payment = await collector.pay(customer.contract, "CASH", customer.bills[0])

    page = await collector.get(payment["confirmationLink"])
    receipt = (await collector.get(payment["confirmationLink"], accept="application/json")).json()
    jwks = (await collector.get("/.well-known/jwks.json")).json()

    assert page.status_code == 200
    assert payment["id"] in page.text
    text, value, key = receipt["payload"], receipt["value"], receipt["key_id"]
    assert payment["id"] in text
    assert str(payment["amount"]) in text
    assert is_genuine(text, value, key, jwks)
    changed = text.replace(str(payment["amount"]), str(payment["amount"] - 1))
    assert changed != text
    assert not is_genuine(changed, value, key, jwks)


async def test_a_receipt_cannot_be_guessed(collector: Client) -> None:
    assert (await collector.get("/pay/AAAAAAAAAAAAAAAAAAAAAA")).status_code == 404
