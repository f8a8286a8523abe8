"""Customer Management: shown from a memory, and asked afresh for what money depends on."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.customers import ContractStatus
from domain.refusals import NotFound, UpstreamUnavailable
from integrations.http.client import Upstream
from integrations.systems.customer import CustomerManagement
from tests.support.gateways import counterpart as they
from tests.support.gateways.counterpart import Counterpart, says

CONTRACT = "SGFDN1015"

CUSTOMER: dict[str, Any] = {
    "customer_id": "CUST_001",
    "contract_number": CONTRACT,
    "name": "Nguyen Van A",
    "phone_numbers": [
        {"number": "0987654321", "type": "primary", "has_hifpt": True, "is_messaging": True}
    ],
    "contract_status": "active",
    "service_address": "123 ABC Street",
}


@pytest.fixture
async def customers(http: Upstream) -> AsyncIterator[CustomerManagement]:
    customers = CustomerManagement(http, keep=0.2)
    yield customers
    await customers.aclose()


async def test_a_customer_is_asked_for_once_in_five_minutes(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.always(says(CUSTOMER))
    customer = await customers.customer(CONTRACT)
    assert customer.contract_status is ContractStatus.ACTIVE
    assert customer.phone_numbers[0].number == "0987654321"
    assert customer.email is None
    assert await customers.customer(CONTRACT) == customer
    assert len(counterpart.seen) == 1


async def test_many_who_ask_at_once_wait_for_one_answer(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.always(says(CUSTOMER))
    await asyncio.gather(*[customers.customer(CONTRACT) for _ in range(50)])
    assert len(counterpart.seen) == 1


async def test_what_money_depends_on_is_asked_for_afresh(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says(CUSTOMER), says(CUSTOMER | {"contract_status": "terminated"}))
    await customers.customer(CONTRACT)
    told = await customers.customer(CONTRACT, fresh=True)
    assert told.contract_status is ContractStatus.TERMINATED
    assert await customers.customer(CONTRACT) == told  # and the others hear of it
    assert len(counterpart.seen) == 2


async def test_an_old_answer_is_shown_while_they_are_down_and_never_taken_for_fresh(
    http: Upstream, counterpart: Counterpart
) -> None:
    customers = CustomerManagement(http, keep=0.01, stale=60)
    counterpart.will(says(CUSTOMER))
    customer = await customers.customer(CONTRACT)
    counterpart.always(they.server_error)
    await asyncio.sleep(0.02)
    assert await customers.customer(CONTRACT) == customer
    with pytest.raises(UpstreamUnavailable):
        await customers.customer(CONTRACT, fresh=True)
    await customers.aclose()


async def test_after_an_hour_nothing_is_shown_any_more(
    http: Upstream, counterpart: Counterpart
) -> None:
    customers = CustomerManagement(http, keep=0.01, stale=0.02)
    counterpart.will(says(CUSTOMER))
    await customers.customer(CONTRACT)
    counterpart.always(they.server_error)
    await asyncio.sleep(0.03)
    with pytest.raises(UpstreamUnavailable):
        await customers.customer(CONTRACT)
    await customers.aclose()


async def test_an_unknown_contract_is_asked_for_again(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says({}, 404), says(CUSTOMER))
    with pytest.raises(NotFound) as refusal:
        await customers.customer(CONTRACT)
    assert refusal.value.say("vi") == f"Không tìm thấy hợp đồng {CONTRACT}. Hãy kiểm tra lại mã."
    assert await customers.customer(CONTRACT)
