"""MoMo, the customer's wallet: paid by its page or its QR, and found paid when its one call is lost."""

from __future__ import annotations

import pytest

from tests.support.stack.books import Books
from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.outside import NEVER, ONCE, Sandbox, equals, eventually

pytestmark = pytest.mark.anyio


async def test_a_momo_payment_turns_green_while_it_is_watched(
    collector: Client, sandbox: Sandbox, customer: Customer, books: Books
) -> None:
    bill = customer.bills[0]
    before = await collector.limits()
    payment = await collector.pay(customer.contract, "MOMO", bill)
    assert payment["status"] == "PROCESSING"
    assert payment["qr"]["image"].startswith("data:image/svg+xml;base64,")

    async with collector.watch(payment["id"]) as events:
        assert await events.next() == payment
        told = await sandbox.pays(payment_url=payment["paymentUrl"])
        assert told["webhooks"] == [{"status_code": 204, "body": ""}]
        later = await events.to_the_end()

    assert [event["status"] for event in later] == ["SUCCESS"]
    assert await books.entries(payment["id"]) == [
        ("gateway_clearing:momo", "customer_receivable", bill["amount"])
    ]
    assert await collector.limits() == before, "it is no money of the staff's"
    await equals(lambda: sandbox.effects(payment["id"]), ONCE)


async def test_the_one_call_is_lost_and_a_question_finds_it_paid(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    payment = await collector.pay(customer.contract, "MOMO", customer.bills[0])
    await sandbox.pays(qr=payment["qr"]["payload"], drop_webhook=True)

    verified = await collector.ask("VerifyPayment", id=payment["id"])

    assert verified["payment"]["status"] == "SUCCESS"
    await equals(lambda: sandbox.effects(payment["id"]), ONCE)


async def test_a_customer_who_denies_leaves_the_bill_free(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    bill = customer.bills[0]
    payment = await collector.pay(customer.contract, "MOMO", bill)
    await sandbox.pays(qr=payment["qr"]["payload"], outcome="declined")

    failed = await eventually(
        lambda: collector.payment(payment["id"]), lambda now: now["status"] == "FAILED"
    )
    assert failed["failure"]["code"] == "1006"
    cash = await collector.pay(customer.contract, "CASH", bill)
    await equals(lambda: sandbox.effects(cash["id"]), ONCE)
    assert await sandbox.effects(payment["id"]) == NEVER
