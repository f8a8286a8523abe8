"""The adapters against the sandbox, which spells every protocol on its own: the two must agree."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from domain.attempts import Attempt, AttemptStatus
from domain.bills import Item, ItemType
from domain.customers import ContractStatus
from domain.evidence import Evidence, Finding
from domain.gateways import BadCall, Call, Gateway, Notice, Purchase, Verdict
from domain.methods import GatewayName, PaymentMethod
from domain.money import Money
from domain.notifications import Channel, Delivery, Message, Notification, Template
from domain.notifications import NotificationStatus as Status
from domain.refusals import NotFound
from domain.staff import InvalidCredentials, Role
from integrations.customer import CustomerManagement
from integrations.debt import DebtManagement
from integrations.fpt_pay import FPTPay
from integrations.hifpt import HiFPT
from integrations.http import Upstream
from integrations.revenue import Revenue
from integrations.sms import Sms
from integrations.staff import StaffManagement
from integrations.stripe import Stripe
from integrations.vnpay import VNPay
from integrations.wire import Rejected
from tests.integrations.counterpart import Counterpart, Line, Seen

CONTRACT = "SGFDN1015"
GATEWAYS = (GatewayName.VNPAY, GatewayName.FPT_PAY, GatewayName.STRIPE)


@dataclass
class Outside:
    """The sandbox, and our own door, at which its gateways knock."""

    url: str
    door: Counterpart
    knocks: asyncio.Queue[Seen]
    control: httpx.AsyncClient

    def upstream(self, system: str, **other: Any) -> Upstream:
        headers = {"X-Api-Key": f"sandbox-{system}-key"}
        return Upstream(system, f"{self.url}/{system}", headers=headers, read=3, **other)

    async def order(self, what: str, **body: Any) -> Any:
        answer = await self.control.post(f"/_sandbox/{what}", json=body)
        assert answer.is_success, answer.text
        return answer.json()

    async def truth(self) -> dict[str, list[dict[str, Any]]]:
        return (await self.control.get("/_sandbox/truth")).json()

    async def next_call(self) -> Call:
        async with asyncio.timeout(5):
            seen = await self.knocks.get()
        return Call(
            method=seen.method,
            query=seen.query,
            headers=seen.headers,
            body=seen.body,
            received_at=datetime.now(UTC),
        )


@pytest.fixture(scope="module")
async def outside(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outside]:
    door, knocks = Counterpart(), asyncio.Queue[Seen]()

    async def hear(seen: Seen, line: Line) -> None:
        await knocks.put(seen)
        gateway = VNPAY_WORDS if seen.path.endswith("vnpay") else FPT_PAY_WORDS
        body = gateway.answer(Verdict.ACCEPTED).body
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        await line.write(head.encode() + body)

    door.always(hear)
    await door.open()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("sandbox")
    sandbox = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sandbox",
        cwd=Path(__file__).parents[2],
        env={name: value for name, value in os.environ.items() if "MOBINET" not in name}
        | {
            "MOBINET_SANDBOX_PORT": str(port),
            "MOBINET_DATA_DIR": str(folder),
            "MOBINET_PUBLIC_URL": door.url,
            "MOBINET_SANDBOX__TIME_SCALE": "3000",  # five minutes are a tenth of a second
        },
    )
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url) as control:
        await _answering(control)
        yield Outside(url, door, knocks, control)
    sandbox.terminate()
    await sandbox.wait()
    await door.close()


async def _answering(control: httpx.AsyncClient) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                (await control.get("/healthz")).raise_for_status()
            except httpx.HTTPError:
                await asyncio.sleep(0.05)
            else:
                return


@pytest.fixture(autouse=True)
async def whole_again(outside: Outside) -> None:
    await outside.order("reset", data=True)
    while not outside.knocks.empty():
        outside.knocks.get_nowait()


def vnpay(http: Upstream) -> VNPay:
    return VNPay(http, tmn_code="MOBINET1", hash_secrets=["sandbox-vnpay-hash-secret"])


def fpt_pay(http: Upstream) -> FPTPay:
    return FPTPay(http, secrets=["sandbox-fpt-pay-secret"])


def stripe(http: Upstream) -> Stripe:
    secrets = ["whsec_sandbox-stripe-secret"]
    return Stripe(http, api_key="sandbox-stripe-key", webhook_secrets=secrets)


def gateway_of(name: GatewayName, http: Upstream) -> Gateway:
    makers = {GatewayName.VNPAY: vnpay, GatewayName.FPT_PAY: fpt_pay, GatewayName.STRIPE: stripe}
    return makers[name](http)


VNPAY_WORDS = vnpay(Upstream("nobody", "http://127.0.0.1"))
FPT_PAY_WORDS = fpt_pay(Upstream("nobody", "http://127.0.0.1"))


@dataclass
class Talk:
    """A conversation with one gateway about one attempt."""

    outside: Outside
    gateway: Gateway
    attempt: Attempt
    wallet: str

    async def start(self) -> Evidence:
        purchase = Purchase(
            description=f"Thanh toán cước HĐ {CONTRACT}",
            customer_name="Nguyen Van A",
            customer_phone="0987654321",
            client_ip="203.0.113.10",
            return_url=f"{self.outside.door.url}/pay/token",
            notify_url=f"{self.outside.door.url}/webhooks/fpt-pay",
            staff_token=self.wallet,
        )
        return await self.gateway.start(self.attempt, purchase, now=datetime.now(UTC))

    async def inquire(self) -> Evidence:
        return await self.gateway.inquire(self.attempt, now=datetime.now(UTC))

    async def customer(self, outcome: str, **other: Any) -> None:
        await self.outside.order("pay", reference=self.attempt.reference, outcome=outcome, **other)

    async def told(self) -> Notice:
        (notice,) = self.gateway.read_webhook(await self.outside.next_call())
        return notice


@pytest.fixture(params=GATEWAYS)
async def talk(request: pytest.FixtureRequest, outside: Outside) -> AsyncIterator[Talk]:
    name: GatewayName = request.param
    staff, http = outside.upstream("staff"), outside.upstream(name.value.lower())
    who = await StaffManagement(staff).authenticate("NV001", "mobinetNV001")
    assert who.fpt_pay_token
    now = datetime.now(UTC)
    attempt = Attempt(
        reference=f"MB{now:%y%m%d%H%M%S%f}",
        payment_id="TXN_1",
        gateway=name,
        status=AttemptStatus.SENT,
        money=Money(200_000),
        created_at=now,
        sent_at=now,
        expires_at=now + timedelta(minutes=15),
    )
    yield Talk(outside, gateway_of(name, http), attempt, who.fpt_pay_token)
    await staff.aclose()
    await http.aclose()


async def test_a_payment_is_begun_asked_about_paid_and_told_of(talk: Talk) -> None:
    begun = await talk.start()
    assert begun.finding is Finding.ACCEPTED
    assert begun.payment_url or begun.qr_payload
    assert (await talk.inquire()).finding is Finding.UNPAID
    await talk.customer("paid")
    notice = await talk.told()
    assert notice.reference == talk.attempt.reference
    assert (notice.evidence.finding, notice.evidence.money) == (Finding.PAID, Money(200_000))
    await asyncio.sleep(0.15)  # VNPay's five minutes
    asked = await talk.inquire()
    assert (asked.finding, asked.money) == (Finding.PAID, Money(200_000))
    assert asked.gateway_id == notice.evidence.gateway_id
    (charge,) = (await talk.outside.truth())["charges"]
    assert (charge["reference"], charge["amount"]) == (talk.attempt.reference, 200_000)


@pytest.mark.parametrize(
    ("outcome", "finding"), [("declined", Finding.DECLINED), ("expired", Finding.EXPIRED)]
)
async def test_what_is_not_paid_is_told_of_too(talk: Talk, outcome: str, finding: Finding) -> None:
    await talk.start()
    await talk.customer(outcome)
    notice = await talk.told()
    assert notice.evidence.finding is finding
    assert notice.evidence.failure


@pytest.mark.parametrize("outcome", ["suspicious", "reversed"])
async def test_money_that_vnpay_doubts_is_neither_paid_nor_declined(
    talk: Talk, outcome: str
) -> None:
    if talk.gateway.name is GatewayName.VNPAY:
        await talk.start()
        await talk.customer(outcome)
        assert (await talk.told()).evidence.finding is Finding.SUSPICIOUS
        assert (await talk.inquire()).finding is Finding.SUSPICIOUS


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
    assert (await talk.start()).finding is Finding.UNKNOWN
    assert (await talk.inquire()).finding is Finding.UNPAID
    await talk.customer("paid")
    assert (await talk.told()).evidence.finding is Finding.PAID
    await http.aclose()


async def test_a_charge_that_never_arrived_is_unpaid_when_asked(
    outside: Outside, talk: Talk
) -> None:
    system = talk.gateway.name.value.lower()
    await outside.order("faults", system=system, fault="reset", times=1, after_processing=False)
    assert (await talk.start()).finding is Finding.UNKNOWN
    assert (await talk.inquire()).finding is Finding.UNPAID
    assert (await outside.truth())["charges"] == []


async def test_a_gateway_that_refuses_declines(outside: Outside, talk: Talk) -> None:
    system = talk.gateway.name.value.lower()
    await outside.order("faults", system=system, fault="refuse", times=1)
    evidence = await talk.start()
    assert evidence.finding is Finding.DECLINED
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
        answers = [(await talk.inquire()).finding for _ in range(2)]
        assert answers == [Finding.UNPAID, Finding.UNKNOWN]


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
    assert sorted((one["system"], one["times"]) for one in told) == [("hifpt", 1), ("sms", 1)]
    stranger = replace(notification, id="NTF_2", phone="0900000000")
    assert await HiFPT(hifpt).send(stranger, message) is Delivery.REFUSED
    await hifpt.aclose()
    await sms.aclose()
