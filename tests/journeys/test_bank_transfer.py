"""A bank transfer: the customer scans our account's QR, and it turns green when the bank tells of the money."""

from __future__ import annotations

import pytest

from sandbox.bank import emv
from tests.support.stack.books import Books
from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.outside import ONCE, Sandbox, equals

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("by", ["casso", "sepay"])
async def test_a_transfer_turns_the_watched_qr_green(
    collector: Client, sandbox: Sandbox, customer: Customer, books: Books, by: str
) -> None:
    bill = customer.bills[0]
    payment = await collector.pay(customer.contract, "BANK_TRANSFER", bill)
    assert payment["status"] == "PROCESSING"
    reference = emv.read(emv.read(payment["qr"]["payload"])["62"])["08"]

    async with collector.watch(payment["id"]) as events:
        assert await events.next() == payment
        content = f"IBFT {reference.lower()} cam on"
        told = await sandbox.pays(
            qr=payment["qr"]["payload"], transfer={"by": by, "content": content}
        )
        assert told["webhooks"] == [{"status_code": 200, "body": {"success": True}}]
        later = await events.to_the_end()

    assert [event["status"] for event in later] == ["SUCCESS"]
    assert await books.entries(payment["id"]) == [("bank", "customer_receivable", bill["amount"])]
    await equals(lambda: sandbox.effects(payment["id"]), ONCE)
