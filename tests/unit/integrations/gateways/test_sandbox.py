"""The adapters against the sandbox, which implements every protocol independently."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.bills import Item, ItemType
from domain.customers import ContractStatus
from domain.gateways import BadCall
from domain.methods import GatewayName, PaymentMethod
from domain.money import Money
from domain.notifications import Channel, Delivery, Message, Notification, Template
from domain.notifications import NotificationStatus as Status
from domain.payment_evidence import GatewayResult
from domain.refusals import NotFound
from domain.staff import InvalidCredentials, Role
from integrations.http.parsing import Rejected
from integrations.messaging.hifpt import HiFPT
from integrations.messaging.sms import Sms
from integrations.systems.customer import CustomerManagement
from integrations.systems.debt import DebtManagement
from integrations.systems.revenue import Revenue
from integrations.systems.staff import StaffManagement
from tests.support.sandbox.adapters import (
    CONTRACT,
    RunningSandbox,
    SandboxPayment,
    gateway_of,
    payment,
    running_sandbox,
)

__all__ = ["payment", "running_sandbox"]


@pytest.fixture(autouse=True)
async def reset_sandbox(running_sandbox: RunningSandbox) -> None:
    await running_sandbox.command("reset", data=True)
    while not running_sandbox.calls.empty():
        running_sandbox.calls.get_nowait()


async def test_a_payment_is_started_inquired_paid_and_reported(payment: SandboxPayment) -> None:
    started = await payment.start()
    assert started.result is GatewayResult.ACCEPTED
    assert started.payment_url or started.qr_payload
    assert (await payment.inquire()).result is GatewayResult.UNPAID
    await payment.customer("paid")
    notice = await payment.next_notice()
    assert notice.reference == payment.attempt.reference
    assert (notice.evidence.result, notice.evidence.money) == (GatewayResult.PAID, Money(200_000))
    await asyncio.sleep(0.15)  # VNPay's five minutes
    inquired = await payment.inquire()
    assert (inquired.result, inquired.money) == (GatewayResult.PAID, Money(200_000))
    assert inquired.gateway_id == notice.evidence.gateway_id
    (charge,) = (await payment.sandbox.truth())["charges"]
    assert (charge["reference"], charge["amount"]) == (payment.attempt.reference, 200_000)


@pytest.mark.parametrize(
    ("outcome", "result"),
    [("declined", GatewayResult.DECLINED), ("expired", GatewayResult.EXPIRED)],
)
async def test_an_unpaid_end_is_reported_too(
    payment: SandboxPayment, outcome: str, result: GatewayResult
) -> None:
    await payment.start()
    await payment.customer(outcome)
    notice = await payment.next_notice()
    assert notice.evidence.result is result
    assert notice.evidence.failure


@pytest.mark.parametrize("outcome", ["suspicious", "reversed"])
async def test_a_suspicious_payment_of_vnpay_is_neither_paid_nor_declined(
    payment: SandboxPayment, outcome: str
) -> None:
    if payment.gateway.name is GatewayName.VNPAY:
        await payment.start()
        await payment.customer(outcome)
        assert (await payment.next_notice()).evidence.result is GatewayResult.SUSPICIOUS
        assert (await payment.inquire()).result is GatewayResult.SUSPICIOUS


async def test_a_lower_amount_is_reported_as_it_is(payment: SandboxPayment) -> None:
    await payment.start()
    await payment.customer("paid", amount=150_000)
    assert (await payment.next_notice()).evidence.money == Money(150_000)


async def test_a_repeated_webhook_has_one_identity(payment: SandboxPayment) -> None:
    await payment.start()
    await payment.customer("paid", repeat=2)
    first, second = await payment.next_notice(), await payment.next_notice()
    assert first.event_id == second.event_id


async def test_a_badly_signed_webhook_is_refused(payment: SandboxPayment) -> None:
    await payment.start()
    await payment.customer("paid", bad_signature=True)
    with pytest.raises(BadCall):
        await payment.next_notice()


@pytest.mark.parametrize("fault", ["timeout", "reset", "500", "truncated"])
async def test_an_inquiry_finds_a_charge_whose_answer_was_lost(
    running_sandbox: RunningSandbox, payment: SandboxPayment, fault: str
) -> None:
    system = payment.gateway.name.value.lower()
    http = running_sandbox.upstream(system, total=0.5)
    payment.gateway = gateway_of(payment.gateway.name, http)
    await running_sandbox.command(
        "faults", system=system, fault=fault, times=1, after_processing=True
    )
    assert (await payment.start()).result is GatewayResult.UNKNOWN
    assert (await payment.inquire()).result is GatewayResult.UNPAID
    await payment.customer("paid")
    assert (await payment.next_notice()).evidence.result is GatewayResult.PAID
    await http.aclose()


async def test_a_charge_that_never_arrived_is_unpaid(
    running_sandbox: RunningSandbox, payment: SandboxPayment
) -> None:
    system = payment.gateway.name.value.lower()
    await running_sandbox.command(
        "faults", system=system, fault="reset", times=1, after_processing=False
    )
    assert (await payment.start()).result is GatewayResult.UNKNOWN
    assert (await payment.inquire()).result is GatewayResult.UNPAID
    assert (await running_sandbox.truth())["charges"] == []


async def test_a_refusal_of_the_gateway_is_a_decline(
    running_sandbox: RunningSandbox, payment: SandboxPayment
) -> None:
    system = payment.gateway.name.value.lower()
    await running_sandbox.command("faults", system=system, fault="refuse", times=1)
    evidence = await payment.start()
    assert evidence.result is GatewayResult.DECLINED
    assert evidence.failure


async def test_an_unknown_wallet_token_asks_for_a_new_login(payment: SandboxPayment) -> None:
    if payment.gateway.name is GatewayName.FPT_PAY:
        evidence = await replace(payment, wallet="forged").start()
        assert evidence.failure
        assert evidence.failure.code == "GATEWAY_UNAVAILABLE"


async def test_a_second_inquiry_within_five_minutes_is_unknown(
    running_sandbox: RunningSandbox, payment: SandboxPayment
) -> None:
    if payment.gateway.name is GatewayName.VNPAY:
        await payment.start()
        answers = [(await payment.inquire()).result for _ in range(2)]
        assert answers == [GatewayResult.UNPAID, GatewayResult.UNKNOWN]


async def test_the_internal_systems_answer_as_the_contract_says(
    running_sandbox: RunningSandbox,
) -> None:
    names = ("revenue", "customer", "staff", "debt")
    https = {name: running_sandbox.upstream(name) for name in names}
    revenue, debt = Revenue(https["revenue"]), DebtManagement(https["debt"])
    customers, staff = CustomerManagement(https["customer"]), StaffManagement(https["staff"])

    customer = await customers.customer(CONTRACT)
    assert (customer.name, customer.contract_status) == ("Nguyen Van A", ContractStatus.ACTIVE)
    (bill,), (fee,) = await revenue.bills(CONTRACT), await revenue.fees(CONTRACT)
    assert (bill.bill_number, bill.amount) == ("U23SG0073526", 200_000)
    assert (fee.fee_id, fee.amount) == ("FEE_SGFDN1015", 300_000)
    assert await revenue.history(CONTRACT) == ()
    assert (await debt.debt(CONTRACT)).total_debt == 500_000
    for query in (customers.customer, revenue.bills, debt.debt):
        with pytest.raises(NotFound):
            await query("SGFDN1")

    member, limits = await staff.staff("NV001")
    assert (member.role, limits.per_transaction, limits.used_today) == (
        Role.TIN_PNC,
        5_000_000,
        2_000_000,
    )
    with pytest.raises(InvalidCredentials):
        await staff.authenticate("NV001", "wrong")
    with pytest.raises(NotFound):
        await staff.staff("NV999")

    for _ in range(2):  # a repeat has no effect
        await revenue.record(
            transaction_id="TXN_1",
            contract_number=CONTRACT,
            method=PaymentMethod.CASH,
            paid_at=datetime(2025, 7, 29, 3, tzinfo=UTC),
            items=[Item(type=ItemType.BILL, id=bill.bill_number, amount=bill.amount)],
            staff_id="NV001",
        )
        await debt.settle(transaction_id="TXN_1", contract_number=CONTRACT, amount=bill.amount)
    (past,) = await revenue.history(CONTRACT)
    assert (past.transaction_id, past.amount) == ("TXN_1", 200_000)
    assert (await debt.debt(CONTRACT)).total_debt == 300_000
    with pytest.raises(Rejected):
        await debt.settle(transaction_id="TXN_2", contract_number=CONTRACT, amount=999_999)
    for http in https.values():
        await http.aclose()


async def test_a_repeated_message_arrives_once(running_sandbox: RunningSandbox) -> None:
    message = Message(
        customer_name="Nguyen Van A",
        amount=200_000,
        contract_number=CONTRACT,
        transaction_id="TXN_1",
        confirmation_link="https://mobinet.vn/pay/abc",
    )
    notification = Notification(
        id="NTF_1",
        payment_id="TXN_1",
        phone="0987654321",
        template=Template.PAYMENT_CONFIRMATION,
        channel=Channel.HIFPT,
        status=Status.PENDING,
    )
    hifpt, sms = running_sandbox.upstream("hifpt"), running_sandbox.upstream("sms")
    for channel in (HiFPT(hifpt), Sms(sms)):
        for _ in range(2):
            assert await channel.send(notification, message) is Delivery.SENT
    messages = (await running_sandbox.truth())["messages"]
    assert sorted((sent["system"], sent["times"]) for sent in messages) == [
        ("hifpt", 1),
        ("sms", 1),
    ]
    unregistered = replace(notification, id="NTF_2", phone="0900000000")
    assert await HiFPT(hifpt).send(unregistered, message) is Delivery.REFUSED
    await hifpt.aclose()
    await sms.aclose()
