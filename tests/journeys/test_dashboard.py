"""What the office sees: every change as it happens, whole pages, and only what is theirs to see."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.stack.client import Client, Refused
from tests.support.stack.customers import Customer
from tests.support.stack.outside import Json, Sandbox
from tests.support.stack.processes import Stack

pytestmark = pytest.mark.anyio


@pytest.fixture
async def dashboard(stack: Stack) -> AsyncIterator[Client]:
    async with Client(stack.url) as client:
        yield await client.log_in_as_a_program("dashboard", "dashboard-secret")


async def test_the_feed_shows_each_payment_as_it_changes(
    dashboard: Client, collector: Client, sandbox: Sandbox, customers
) -> None:
    customer: Customer = await customers(3)
    async with dashboard.subscribed("TransactionFeed", filter=None) as feed:
        # A feed begins when it is subscribed to, which nobody is told: this payment wakes it.
        waking = await collector.pay(customer.contract, "CASH", customer.bills[0])
        await feed.until(lambda event: event["id"] == waking["id"])

        cash = await collector.pay(customer.contract, "CASH", customer.bills[1])
        qr = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[2])
        await sandbox.pays(qr=qr["qr"]["payload"])
        seen: dict[str, list[Json]] = {cash["id"]: [], qr["id"]: []}

        # Revenue's record is the last change of each.
        def all_told(event: Json) -> bool:
            seen.setdefault(event["id"], []).append(event)
            return all(
                seen[item] and seen[item][-1]["version"] > last
                for item, last in ((cash["id"], cash["version"]), (qr["id"], qr["version"] + 1))
            )

        await feed.until(all_told)

    for payment_id in (cash["id"], qr["id"]):
        versions = [event["version"] for event in seen[payment_id]]
        assert versions == sorted(set(versions))
        assert seen[payment_id][-1]["status"] == "SUCCESS"
        now = await dashboard.payment(payment_id)
        assert versions[-1] == now["version"]
    assert {event["status"] for event in seen[cash["id"]]} == {"SUCCESS"}
    statuses = [event["status"] for event in seen[qr["id"]]]
    assert statuses[0] == "PROCESSING"


async def test_pages_neither_skip_nor_repeat_while_payments_arrive(
    dashboard: Client, collector: Client, customers
) -> None:
    staff = collector.session["staff"]["staffId"]

    async def take(count: int) -> list[str]:
        bills = []
        while len(bills) < count:
            customer = await customers(1)
            bills += [(customer.contract, bill) for bill in customer.bills]
        payments = await asyncio.gather(
            *(collector.pay(contract, "CASH", bill) for contract, bill in bills[:count])
        )
        return [payment["id"] for payment in payments]

    async def walk(order: str) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await dashboard.ask(
                "Transactions",
                filter={"staffId": staff},
                first=3,
                after=cursor,
                orderBy=order,
            )
            found += [edge["node"]["id"] for edge in page["edges"]]
            arrived.extend(await take(1))
            if not page["pageInfo"]["hasNextPage"] or len(found) > 40:
                return found
            cursor = page["pageInfo"]["endCursor"]
            assert cursor == page["edges"][-1]["cursor"]

    arrived: list[str] = []
    for order in ("CREATED_DESC", "AMOUNT_DESC"):
        before = set(await take(4)) | set(arrived)
        seen = await walk(order)
        assert len(seen) == len(set(seen))
        assert before <= set(seen)

    page = await dashboard.ask("Transactions", filter={"staffId": staff}, first=100)
    assert page["totalCount"] == len(page["edges"])
    assert page["totalAmount"] == sum(edge["node"]["amount"] for edge in page["edges"])


async def test_a_collector_sees_their_own_and_a_supervisor_their_team(
    stack: Stack, customer: Customer
) -> None:
    async with Client(stack.url) as one, Client(stack.url) as other, Client(stack.url) as boss:
        await one.log_in("NV001")
        await other.log_in("NV002")
        await boss.log_in("SV001")
        payment = await one.pay(customer.contract, "CASH", customer.bills[0])

        with pytest.raises(Refused) as unseen:
            await other.payment(payment["id"])
        assert unseen.value.codes == ["NOT_FOUND"]
        page = await other.ask("Transactions", filter={"search": payment["id"]})
        assert (page["edges"], page["totalCount"]) == ([], 0)
        with pytest.raises(AssertionError, match="NOT_FOUND"):
            async with other.watch(payment["id"]) as events:
                await events.next()
        verify = await other.ask("VerifyPayment", id=payment["id"])
        assert [error["code"] for error in verify["errors"]] == ["NOT_FOUND"]

        assert (await boss.payment(payment["id"]))["id"] == payment["id"]
        assert (await boss.office_view(payment["id"]))["staff"]["staffId"] == "NV001"
        with pytest.raises(Refused) as unknown:
            await one.payment("TXN_00000000000000000000000000")
        assert unknown.value.codes == ["NOT_FOUND"]


async def test_a_supervisor_does_not_see_another_team(
    stack: Stack, collector: Client, customer: Customer
) -> None:
    payment = await collector.pay(customer.contract, "CASH", customer.bills[0])

    async with Client(stack.url) as boss:
        await boss.log_in("SV001")
        with pytest.raises(Refused) as unseen:
            await boss.payment(payment["id"])
    assert unseen.value.codes == ["NOT_FOUND"]


async def test_a_dashboard_reads_and_takes_no_money(dashboard: Client, customer: Customer) -> None:
    with pytest.raises(Refused) as refused:
        await dashboard.process(customer.contract, "CASH", customer.bills[0])
    assert refused.value.codes == ["FORBIDDEN"]


async def test_a_program_with_a_wrong_secret_gets_no_token(stack: Stack) -> None:
    async with Client(stack.url) as client:
        response = await client.post_form(
            "/oauth/token",
            grant_type="client_credentials",
            client_id="dashboard",
            client_secret="a guess",
        )
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"
