"""A customer and their contract, as Customer Management and Debt Management answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.refusals import Refusal, RefusalCode


class ContractStatus(StrEnum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    TERMINATED = "TERMINATED"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneNumber:
    number: str
    type: str
    has_hifpt: bool
    is_messaging: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    customer_id: str
    name: str
    contract_number: str
    contract_status: ContractStatus
    service_address: str
    phone_numbers: tuple[PhoneNumber, ...]
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """A contract's debt in Debt Management, in VND."""

    total_debt: int
    overdue_months: int
    status: str


class PartName(StrEnum):
    """The parts of a customer, each of which one system answers for."""

    CUSTOMER = "CUSTOMER"
    BILLS = "BILLS"
    FEES = "FEES"
    HISTORY = "HISTORY"
    DEBT = "DEBT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """When its system was asked for a part; `stale` if it did not answer again since."""

    name: PartName
    as_of: datetime
    stale: bool


@dataclass(eq=False)
class ContractInactive(Refusal):
    code = RefusalCode.CONTRACT_INACTIVE
    vi = "Hợp đồng {contract_number} đã chấm dứt, không thể thu tiền. Hãy kiểm tra lại số hợp đồng."
    en = (
        "Contract {contract_number} is terminated: nothing can be collected on it."
        " Check the number."
    )

    contract_number: str
