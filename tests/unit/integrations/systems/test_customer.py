"""Customer Management: cached answers for display, fresh ones for decisions about money."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.customers import ContractStatus
from domain.refusals import NotFound, UpstreamUnavailable
from integrations.http.client import Upstream
from integrations.systems.customer import CustomerManagement
from tests.support.gateways import counterpart as acts
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
    customers = CustomerManagement(http, fresh_seconds=0.2)
    yield customers
    await customers.aclose()


async def test_a_customer_is_fetched_once_in_five_minutes(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.always(says(CUSTOMER))
    customer = await customers.customer(CONTRACT)
    assert customer.contract_status is ContractStatus.ACTIVE
    assert customer.phone_numbers[0].number == "0987654321"
    assert customer.email is None
    assert await customers.customer(CONTRACT) == customer
    assert len(counterpart.seen) == 1


async def test_concurrent_callers_share_one_request(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.always(says(CUSTOMER))
    await asyncio.gather(*[customers.customer(CONTRACT) for _ in range(50)])
    assert len(counterpart.seen) == 1


async def test_a_fresh_customer_is_fetched_again(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says(CUSTOMER), says(CUSTOMER | {"contract_status": "terminated"}))
    await customers.customer(CONTRACT)
    fresh = await customers.customer(CONTRACT, fresh=True)
    assert fresh.contract_status is ContractStatus.TERMINATED
    assert await customers.customer(CONTRACT) == fresh  # the cache has it too
    assert len(counterpart.seen) == 2


async def test_a_stale_answer_is_returned_during_an_outage_but_never_as_fresh(
    http: Upstream, counterpart: Counterpart
) -> None:
    customers = CustomerManagement(http, fresh_seconds=0.01, stale_seconds=60)
    counterpart.will(says(CUSTOMER))
    customer = await customers.customer(CONTRACT)
    counterpart.always(acts.server_error)
    await asyncio.sleep(0.02)
    assert await customers.customer(CONTRACT) == customer
    with pytest.raises(UpstreamUnavailable):
        await customers.customer(CONTRACT, fresh=True)
    await customers.aclose()


async def test_after_an_hour_no_stale_answer_is_returned(
    http: Upstream, counterpart: Counterpart
) -> None:
    customers = CustomerManagement(http, fresh_seconds=0.01, stale_seconds=0.02)
    counterpart.will(says(CUSTOMER))
    await customers.customer(CONTRACT)
    counterpart.always(acts.server_error)
    await asyncio.sleep(0.03)
    with pytest.raises(UpstreamUnavailable):
        await customers.customer(CONTRACT)
    await customers.aclose()


async def test_an_unknown_contract_is_fetched_again(
    customers: CustomerManagement, counterpart: Counterpart
) -> None:
    counterpart.will(says({}, 404), says(CUSTOMER))
    with pytest.raises(NotFound) as refusal:
        await customers.customer(CONTRACT)
    assert refusal.value.text("vi") == f"Không tìm thấy hợp đồng {CONTRACT}. Hãy kiểm tra lại mã."
    assert await customers.customer(CONTRACT)
