"""Customer Management: the customer of a contract."""

from __future__ import annotations

from typing import Any

import pytest

from domain.customers import ContractStatus
from domain.refusals import NotFound
from integrations.http.client import Upstream
from integrations.systems.customer import CustomerManagement
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


async def test_a_customer_has_its_phones_and_status(
    http: Upstream, counterpart: Counterpart
) -> None:
    counterpart.always(says(CUSTOMER))
    customer = await CustomerManagement(http).customer(CONTRACT)
    assert customer.contract_status is ContractStatus.ACTIVE
    assert customer.phone_numbers[0].number == "0987654321"
    assert customer.email is None


async def test_an_unknown_contract_is_not_found(http: Upstream, counterpart: Counterpart) -> None:
    counterpart.always(says({}, 404))
    with pytest.raises(NotFound) as refusal:
        await CustomerManagement(http).customer(CONTRACT)
    assert refusal.value.text("vi") == f"Không tìm thấy hợp đồng {CONTRACT}. Hãy kiểm tra lại mã."
