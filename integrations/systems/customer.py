"""Customer Management: the customer of a contract, and their phones."""

from __future__ import annotations

from typing import Literal

from domain import identifiers
from domain.customers import ContractStatus, Customer, PhoneNumber
from integrations.http.client import Upstream
from integrations.http.messages import Answer
from integrations.http.parsing import Text, WireModel, parse_success
from integrations.systems.calls import check_contract, fetch_of_contract

SYSTEM = "Customer Management"


class _Phone(WireModel):
    number: Text
    type: str
    has_hifpt: bool
    is_messaging: bool


class _Customer(WireModel):
    customer_id: Text
    contract_number: str
    name: Text
    phone_numbers: tuple[_Phone, ...]
    contract_status: Literal["active", "suspended", "terminated"]
    service_address: str
    email: str | None = None


class CustomerManagement:
    def __init__(self, http: Upstream) -> None:
        self._http = http

    async def customer(self, contract_number: str) -> Customer:
        """Return the customer of a contract. Raises NotFound or UpstreamUnavailable."""
        return await fetch_of_contract(
            self._http, SYSTEM, "customers", contract_number, _read_customer, operation="customer"
        )


def _read_customer(answer: Answer, number: str) -> Customer:
    customer = parse_success(_Customer, answer)
    check_contract(customer.contract_number, number)
    phones = [
        PhoneNumber(
            number=phone.number,
            type=phone.type,
            has_hifpt=phone.has_hifpt,
            is_messaging=phone.is_messaging,
        )
        for phone in customer.phone_numbers
    ]
    return Customer(
        customer_id=customer.customer_id,
        name=customer.name,
        contract_number=identifiers.contract_number(customer.contract_number),
        contract_status=ContractStatus(customer.contract_status.upper()),
        service_address=customer.service_address,
        phone_numbers=tuple(phones),
        email=customer.email,
    )
