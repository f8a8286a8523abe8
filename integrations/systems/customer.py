"""Customer Management: the customer of a contract, and their phones."""

from __future__ import annotations

from typing import Literal, cast

from cashews import Cache

from domain import identifiers
from domain.customers import ContractStatus, Customer, PhoneNumber
from domain.refusals import UpstreamUnavailable
from domain.sentences import Noun
from integrations.http.client import Upstream
from integrations.http.messages import Answer
from integrations.http.parsing import Text, WireModel, parse_success, path_segment
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
    """
    An answer is used for `fresh_seconds`; while Customer Management is down, for `stale_seconds`.

    Only customers are cached: an unknown contract is fetched again.
    """

    def __init__(
        self,
        http: Upstream,
        *,
        fresh_seconds: float = 300.0,
        stale_seconds: float = 3600.0,
        size: int = 20_000,
    ) -> None:
        self._http = http
        self._fresh_seconds = fresh_seconds
        self._stale_seconds = stale_seconds
        self._cache = Cache()
        self._cache.setup("mem://", size=2 * size, check_interval=60)

    async def aclose(self) -> None:
        await self._cache.close()

    async def customer(self, contract_number: str, *, fresh: bool = False) -> Customer:
        """
        Return the customer. Raises NotFound or UpstreamUnavailable.

        `fresh` skips the cache, for decisions about money. Without it the answer may be five
        minutes old, and up to an hour while Customer Management is down.
        """
        number = path_segment(contract_number, noun=Noun.CONTRACT)
        if fresh:
            return await self._fetch(number)
        if (cached := await self._cached("fresh", number)) is not None:
            return cached
        # One caller fetches; the others wait for its answer.
        async with self._cache.lock(f"lock:{number}", expire=30, check_interval=0.01):
            if (cached := await self._cached("fresh", number)) is not None:
                return cached
            try:
                return await self._fetch(number)
            except UpstreamUnavailable:
                if (cached := await self._cached("stale", number)) is not None:
                    return cached
                raise

    async def _cached(self, age: str, number: str) -> Customer | None:
        return cast("Customer | None", await self._cache.get(f"{age}:{number}"))

    async def _fetch(self, number: str) -> Customer:
        customer = await fetch_of_contract(
            self._http, SYSTEM, "customers", number, _read_customer, operation="customer"
        )
        await self._cache.set(f"fresh:{number}", customer, expire=self._fresh_seconds)
        await self._cache.set(f"stale:{number}", customer, expire=self._stale_seconds)
        return customer


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
