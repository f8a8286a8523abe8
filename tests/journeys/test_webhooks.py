"""Webhooks that come twice, too early, forged, or with a wrong amount or reference."""

from __future__ import annotations

import asyncio

import pytest

from sandbox.vnpay.rules import canonical, sign
from tests.support.stack.client import Client
from tests.support.stack.customers import Customer, open_payment_of
from tests.support.stack.database_view import DatabaseView
from tests.support.stack.sandbox import EFFECTS_ONCE, NO_EFFECTS, Json, Sandbox
from tests.support.stack.waiting import equals, eventually

pytestmark = pytest.mark.anyio

SECRET = b"sandbox-vnpay-hash-secret"


def codes(result: Json) -> list[str]:
    """Return our answers to the webhooks that the sandbox has sent."""
    return [answer["body"]["RspCode"] for answer in result["webhooks"]]


async def test_a_repeated_webhook_is_answered_02_and_does_nothing(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    bill = customer.bills[0]
    qr = await collector.pay(customer.contract, "VNPAY_QR", bill)
    assert codes(await sandbox.pay(qr=qr["qr"]["payload"])) == ["00"]
    await equals(lambda: sandbox.effects(qr["id"]), EFFECTS_ONCE)
    version = (await collector.payment(qr["id"]))["version"]

    assert codes(await sandbox.pay(qr=qr["qr"]["payload"])) == ["02"]

    assert (await collector.payment(qr["id"]))["version"] == version
    assert len(await stored.entries(qr["id"])) == 1
    assert await sandbox.effects(qr["id"]) == EFFECTS_ONCE


async def test_five_webhooks_at_once_have_one_effect(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    qr = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[0])

    result = await sandbox.pay(qr=qr["qr"]["payload"], repeat=5)

    assert sorted(codes(result)) == ["00", "02", "02", "02", "02"]
    assert len(await stored.entries(qr["id"])) == 1
    assert await stored.cases(qr["id"]) == []
    await equals(lambda: sandbox.effects(qr["id"]), EFFECTS_ONCE)


async def test_a_webhook_before_the_answer_to_our_own_request_pays_the_payment(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    await sandbox.order_fault(
        "vnpay", "slow", times=1, after_processing=True, seconds=5, path=customer.contract
    )
    request = asyncio.create_task(
        collector.process(customer.contract, "VNPAY_QR", customer.bills[0])
    )
    payment = await eventually(lambda: open_payment_of(collector, customer.contract))
    await eventually(lambda: sandbox.charge(payment["gatewayReference"]))

    assert not request.done()
    assert codes(await sandbox.pay(reference=payment["gatewayReference"])) == ["00"]
    assert (await collector.payment(payment["id"]))["status"] == "SUCCESS"

    answer = await request
    assert answer["errors"] == []
    assert answer["payment"]["id"] == payment["id"]
    assert answer["payment"]["status"] == "SUCCESS"
    assert len(await stored.entries(payment["id"])) == 1
    await equals(lambda: sandbox.effects(payment["id"]), EFFECTS_ONCE)


async def test_a_forged_webhook_changes_nothing_and_a_genuine_one_still_counts(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    qr = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[0])

    assert codes(await sandbox.pay(qr=qr["qr"]["payload"], bad_signature=True)) == ["97"]
    assert await collector.payment(qr["id"]) == qr
    assert await stored.entries(qr["id"]) == []

    assert codes(await sandbox.pay(qr=qr["qr"]["payload"])) == ["00"]
    assert (await collector.payment(qr["id"]))["status"] == "SUCCESS"
    await equals(lambda: sandbox.effects(qr["id"]), EFFECTS_ONCE)


async def test_too_little_money_is_held_for_people_and_clears_no_bill(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    bill = customer.bills[0]
    qr = await collector.pay(customer.contract, "VNPAY_QR", bill)

    result = await sandbox.pay(qr=qr["qr"]["payload"], amount=bill["amount"] - 1000)

    assert codes(result) == ["04"]
    held = await collector.office_view(qr["id"])
    assert held["status"] == "PROCESSING"
    assert held["holdReason"] == "AMOUNT_MISMATCH"
    assert await stored.cases(qr["id"]) == [("AMOUNT_MISMATCH", "OPEN")]
    assert await stored.entries(qr["id"]) == [
        ("gateway_clearing:vnpay", "suspense", bill["amount"] - 1000)
    ]
    still_locked = (await collector.bills(customer.contract))[bill["billNumber"]]
    assert still_locked["status"] == "UNPAID"
    assert still_locked["lock"]["paymentId"] == qr["id"]
    cancel = await collector.execute("CancelPayment", id=qr["id"], reason="Khách đổi ý")
    assert [error["code"] for error in cancel["errors"]] == ["TRANSITION_REFUSED"]
    assert await sandbox.effects(qr["id"]) == NO_EFFECTS


async def test_too_much_money_pays_the_bill_and_leaves_a_credit(
    collector: Client, sandbox: Sandbox, customer: Customer, stored: DatabaseView
) -> None:
    bill = customer.bills[0]
    qr = await collector.pay(customer.contract, "VNPAY_QR", bill)

    result = await sandbox.pay(qr=qr["qr"]["payload"], amount=bill["amount"] + 1000)

    assert codes(result) == ["00"]
    assert (await collector.payment(qr["id"]))["status"] == "SUCCESS"
    assert sorted(await stored.entries(qr["id"])) == [
        ("gateway_clearing:vnpay", "customer_credit", 1000),
        ("gateway_clearing:vnpay", "customer_receivable", bill["amount"]),
    ]
    await equals(lambda: sandbox.effects(qr["id"]), EFFECTS_ONCE)


async def test_a_late_decline_does_not_undo_a_success(
    collector: Client, sandbox: Sandbox, customer: Customer
) -> None:
    qr = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[0])
    await sandbox.pay(qr=qr["qr"]["payload"])

    assert codes(await sandbox.pay(qr=qr["qr"]["payload"], outcome="declined")) == ["02"]

    assert (await collector.payment(qr["id"]))["status"] == "SUCCESS"


async def test_a_webhook_for_a_reference_that_is_not_ours_is_answered_01(
    collector: Client,
) -> None:
    fields = {
        "vnp_TmnCode": "MOBINET1",
        "vnp_Amount": "20000000",
        "vnp_BankCode": "NCB",
        "vnp_OrderInfo": "Thanh toan",
        "vnp_TransactionNo": "14226112",
        "vnp_ResponseCode": "00",
        "vnp_TransactionStatus": "00",
        "vnp_TxnRef": "NOBODYASKED",
        "vnp_PayDate": "20250729101500",
    }
    text = canonical(fields)

    signed = await collector.get(f"/webhooks/vnpay?{text}&vnp_SecureHash={sign(SECRET, text)}")
    forged = await collector.get(f"/webhooks/vnpay?{text}&vnp_SecureHash={sign(b'x', text)}")

    assert signed.json()["RspCode"] == "01"
    assert forged.json()["RspCode"] == "97"
