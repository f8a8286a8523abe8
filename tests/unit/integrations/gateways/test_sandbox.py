"""The adapters against the sandbox, which spells every protocol on its own: the two must agree."""

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
from tests.support.gateways.adapters import CONTRACT, Outside, Talk, gateway_of, outside, talk

__all__ = ["outside", "talk"]


@pytest.fixture(autouse=True)
async def whole_again(outside: Outside) -> None:
    await outside.order("reset", data=True)
    while not outside.knocks.empty():
        outside.knocks.get_nowait()


async def test_a_payment_is_begun_asked_about_paid_and_told_of(talk: Talk) -> None:
    begun = await talk.start()
    assert begun.result is GatewayResult.ACCEPTED
    assert begun.payment_url or begun.qr_payload
    assert (await talk.inquire()).result is GatewayResult.UNPAID
    await talk.customer("paid")
    notice = await talk.told()
    assert notice.reference == talk.attempt.reference
    assert (notice.evidence.result, notice.evidence.money) == (GatewayResult.PAID, Money(200_000))
    await asyncio.sleep(0.15)  # VNPay's five minutes
    asked = await talk.inquire()
    assert (asked.result, asked.money) == (GatewayResult.PAID, Money(200_000))
    assert asked.gateway_id == notice.evidence.gateway_id
    (charge,) = (await talk.outside.truth())["charges"]
    assert (charge["reference"], charge["amount"]) == (talk.attempt.reference, 200_000)


@pytest.mark.parametrize(
    ("outcome", "result"),
    [("declined", GatewayResult.DECLINED), ("expired", GatewayResult.EXPIRED)],
)
async def test_what_is_not_paid_is_told_of_too(
    talk: Talk, outcome: str, result: GatewayResult
) -> None:
    await talk.start()
    await talk.customer(outcome)
    notice = await talk.told()
    assert notice.evidence.result is result
    assert notice.evidence.failure


@pytest.mark.parametrize("outcome", ["suspicious", "reversed"])
async def test_money_that_vnpay_doubts_is_neither_paid_nor_declined(
    talk: Talk, outcome: str
) -> None:
    if talk.gateway.name is GatewayName.VNPAY:
        await talk.start()
        await talk.customer(outcome)
        assert (await talk.told()).evidence.result is GatewayResult.SUSPICIOUS
        assert (await talk.inquire()).result is GatewayResult.SUSPICIOUS


async def test_less_money_is_told_of_as_it_is(talk: Talk) -> None:
    await talk.start()
    await talk.customer("paid", amount=150_000)
    assert (await talk.told()).evidence.money == Money(150_000)


async def test_a_repeated_webhook_has_one_identity(talk: Talk) -> None:
    await talk.start()
    await talk.customer("paid", repeat=2)
    one, two = await talk.told(), await talk.told()
    assert one.event_id == two.event_id


async def test_a_badly_signed_webhook_is_refused(talk: Talk) -> None:
    await talk.start()
    await talk.customer("paid", bad_signature=True)
    with pytest.raises(BadCall):
        await talk.told()


@pytest.mark.parametrize("fault", ["timeout", "reset", "500", "truncated"])
async def test_a_charge_that_was_processed_without_an_answer_is_found_by_asking(
    outside: Outside, talk: Talk, fault: str
) -> None:
    system = talk.gateway.name.value.lower()
    http = outside.upstream(system, total=0.5)
    talk.gateway = gateway_of(talk.gateway.name, http)
    await outside.order("faults", system=system, fault=fault, times=1, after_processing=True)
    assert (await talk.start()).result is GatewayResult.UNKNOWN
    assert (await talk.inquire()).result is GatewayResult.UNPAID
    await talk.customer("paid")
    assert (await talk.told()).evidence.result is GatewayResult.PAID
    await http.aclose()


async def test_a_charge_that_never_arrived_is_unpaid_when_asked(
    outside: Outside, talk: Talk
) -> None:
    system = talk.gateway.name.value.lower()
    await outside.order("faults", system=system, fault="reset", times=1, after_processing=False)
    assert (await talk.start()).result is GatewayResult.UNKNOWN
    assert (await talk.inquire()).result is GatewayResult.UNPAID
    assert (await outside.truth())["charges"] == []


async def test_a_gateway_that_refuses_declines(outside: Outside, talk: Talk) -> None:
    system = talk.gateway.name.value.lower()
    await outside.order("faults", system=system, fault="refuse", times=1)
    evidence = await talk.start()
    assert evidence.result is GatewayResult.DECLINED
    assert evidence.failure


async def test_a_wallet_token_that_is_not_known_asks_to_log_in_again(talk: Talk) -> None:
    if talk.gateway.name is GatewayName.FPT_PAY:
        evidence = await replace(talk, wallet="forged").start()
        assert evidence.failure
        assert evidence.failure.code == "GATEWAY_UNAVAILABLE"


async def test_a_second_inquiry_in_five_minutes_is_not_an_answer(
    outside: Outside, talk: Talk
) -> None:
    if talk.gateway.name is GatewayName.VNPAY:
        await talk.start()
        answers = [(await talk.inquire()).result for _ in range(2)]
        assert answers == [GatewayResult.UNPAID, GatewayResult.UNKNOWN]


async def test_the_internal_systems_tell_what_the_contract_promises(outside: Outside) -> None:
    names = ("revenue", "customer", "staff", "debt")
    https = {name: outside.upstream(name) for name in names}
    revenue, debt = Revenue(https["revenue"]), DebtManagement(https["debt"])
    customers, staff = CustomerManagement(https["customer"]), StaffManagement(https["staff"])

    customer = await customers.customer(CONTRACT)
    assert (customer.name, customer.contract_status) == ("Nguyen Van A", ContractStatus.ACTIVE)
    (bill,), (fee,) = await revenue.bills(CONTRACT), await revenue.fees(CONTRACT)
    assert (bill.bill_number, bill.amount) == ("U23SG0073526", 200_000)
    assert (fee.fee_id, fee.amount) == ("FEE_SGFDN1015", 300_000)
    assert await revenue.history(CONTRACT) == ()
    assert (await debt.debt(CONTRACT)).total_debt == 500_000
    for ask in (customers.customer, revenue.bills, debt.debt):
        with pytest.raises(NotFound):
            await ask("SGFDN1")

    who, limits = await staff.staff("NV001")
    assert (who.role, limits.per_transaction, limits.used_today) == (
        Role.TIN_PNC,
        5_000_000,
        2_000_000,
    )
    with pytest.raises(InvalidCredentials):
        await staff.authenticate("NV001", "wrong")
    with pytest.raises(NotFound):
        await staff.staff("NV999")

    for _ in range(2):  # a repeat is harmless
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
    await customers.aclose()
    for http in https.values():
        await http.aclose()


async def test_a_message_arrives_once_however_often_it_is_sent(outside: Outside) -> None:
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
    hifpt, sms = outside.upstream("hifpt"), outside.upstream("sms")
    for channel in (HiFPT(hifpt), Sms(sms)):
        for _ in range(2):
            assert await channel.send(notification, message) is Delivery.SENT
    told = (await outside.truth())["messages"]
    assert sorted((item["system"], item["times"]) for item in told) == [("hifpt", 1), ("sms", 1)]
    stranger = replace(notification, id="NTF_2", phone="0900000000")
    assert await HiFPT(hifpt).send(stranger, message) is Delivery.REFUSED
    await hifpt.aclose()
    await sms.aclose()
