"""What dashboards see: every change, complete pages, and only what their role permits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.stack.client import Client, TopLevelErrors
from tests.support.stack.customers import Customer
from tests.support.stack.processes import Stack
from tests.support.stack.sandbox import Json, Sandbox

pytestmark = pytest.mark.anyio


@pytest.fixture
async def dashboard(stack: Stack) -> AsyncIterator[Client]:
    async with Client(stack.url) as client:
        yield await client.log_in_with_secret("dashboard", "dashboard-secret")


async def test_the_feed_shows_each_payment_as_it_changes(
    dashboard: Client, collector: Client, sandbox: Sandbox, make_customer
) -> None:
    customer: Customer = await make_customer(3)
    async with dashboard.subscribe("TransactionFeed", filter=None) as feed:
        # The API does not confirm that a feed has begun; the first event of this payment does.
        first = await collector.pay(customer.contract, "CASH", customer.bills[0])
        await feed.until(lambda event: event["id"] == first["id"])

        cash = await collector.pay(customer.contract, "CASH", customer.bills[1])
        qr = await collector.pay(customer.contract, "VNPAY_QR", customer.bills[2])
        await sandbox.pay(qr=qr["qr"]["payload"])
        seen: dict[str, list[Json]] = {cash["id"]: [], qr["id"]: []}

        # The record in Revenue is the last change of each payment.
        def all_recorded(event: Json) -> bool:
            seen.setdefault(event["id"], []).append(event)
            return all(
                seen[payment_id] and seen[payment_id][-1]["version"] > version
                for payment_id, version in (
                    (cash["id"], cash["version"]),
                    (qr["id"], qr["version"] + 1),
                )
            )

        await feed.until(all_recorded)

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
    dashboard: Client, collector: Client, make_customer
) -> None:
    staff = collector.session["staff"]["staffId"]

    async def take(count: int) -> list[str]:
        bills = []
        while len(bills) < count:
            customer = await make_customer(1)
            bills += [(customer.contract, bill) for bill in customer.bills]
        payments = await asyncio.gather(
            *(collector.pay(contract, "CASH", bill) for contract, bill in bills[:count])
        )
        return [payment["id"] for payment in payments]

    async def read_all_pages(order: str) -> list[str]:
        found: list[str] = []
        cursor = None
        while True:
            page = await dashboard.execute(
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
        seen = await read_all_pages(order)
        assert len(seen) == len(set(seen))
        assert before <= set(seen)

    page = await dashboard.execute("Transactions", filter={"staffId": staff}, first=100)
    assert page["totalCount"] == len(page["edges"])
    assert page["totalAmount"] == sum(edge["node"]["amount"] for edge in page["edges"])


async def test_a_collector_sees_their_own_payments_and_a_supervisor_those_of_the_team(
    stack: Stack, customer: Customer
) -> None:
    async with (
        Client(stack.url) as owner,
        Client(stack.url) as colleague,
        Client(stack.url) as supervisor,
    ):
        await owner.log_in("NV001")
        await colleague.log_in("NV002")
        await supervisor.log_in("SV001")
        payment = await owner.pay(customer.contract, "CASH", customer.bills[0])

        with pytest.raises(TopLevelErrors) as hidden:
            await colleague.payment(payment["id"])
        assert hidden.value.codes == ["NOT_FOUND"]
        page = await colleague.execute("Transactions", filter={"search": payment["id"]})
        assert (page["edges"], page["totalCount"]) == ([], 0)
        with pytest.raises(AssertionError, match="NOT_FOUND"):
            async with colleague.watch(payment["id"]) as events:
                await events.next()
        verify = await colleague.execute("VerifyPayment", id=payment["id"])
        assert [error["code"] for error in verify["errors"]] == ["NOT_FOUND"]

        assert (await supervisor.payment(payment["id"]))["id"] == payment["id"]
        assert (await supervisor.office_view(payment["id"]))["staff"]["staffId"] == "NV001"
        with pytest.raises(TopLevelErrors) as unknown:
            await owner.payment("TXN_00000000000000000000000000")
        assert unknown.value.codes == ["NOT_FOUND"]


async def test_a_supervisor_does_not_see_the_payments_of_another_team(
    stack: Stack, collector: Client, customer: Customer
) -> None:
    payment = await collector.pay(customer.contract, "CASH", customer.bills[0])

    async with Client(stack.url) as supervisor:
        await supervisor.log_in("SV001")
        with pytest.raises(TopLevelErrors) as hidden:
            await supervisor.payment(payment["id"])
    assert hidden.value.codes == ["NOT_FOUND"]


async def test_a_dashboard_reads_and_takes_no_money(dashboard: Client, customer: Customer) -> None:
    with pytest.raises(TopLevelErrors) as refused:
        await dashboard.process(customer.contract, "CASH", customer.bills[0])
    assert refused.value.codes == ["FORBIDDEN"]


async def test_a_service_client_with_a_wrong_secret_gets_no_token(stack: Stack) -> None:
    async with Client(stack.url) as client:
        response = await client.post_form(
            "/oauth/token",
            grant_type="client_credentials",
            client_id="dashboard",
            client_secret="a guess",
        )
    assert response.status_code == 401
    assert response.json()["error"] == "invalid_client"
