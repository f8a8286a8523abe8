"""A bank transfer: the customer scans our account's QR, and the bank's notice pays the payment."""

from __future__ import annotations

import pytest

from sandbox.bank import emv
from tests.support.stack.client import Client
from tests.support.stack.customers import Customer
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.sandbox import EFFECTS_ONCE, Sandbox
from tests.support.stack.waiting import equals

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("by", ["casso", "sepay"])
async def test_a_transfer_completes_the_watched_payment(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView, by: str
) -> None:
    bill = customer.bills[0]
    payment = await collector.pay(customer.contract, "BANK_TRANSFER", bill)
    assert payment["status"] == "PROCESSING"
    reference = emv.decode(emv.decode(payment["qr"]["payload"])["62"])["08"]

    async with collector.watch(payment["id"]) as events:
        assert await events.next() == payment
        content = f"IBFT {reference.lower()} cam on"
        result = await sandbox.pay(
            qr=payment["qr"]["payload"], transfer={"by": by, "content": content}
        )
        assert result["webhooks"] == [{"status_code": 200, "body": {"success": True}}]
        later = await events.remaining()

    assert [event["status"] for event in later] == ["SUCCESS"]
    assert await stored.entries(payment["id"]) == [("bank", "customer_receivable", bill["amount"])]
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)
