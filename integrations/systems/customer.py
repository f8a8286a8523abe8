"""Customer Management: who is behind a contract, and on which phones they are reached."""

from __future__ import annotations

from typing import Literal, cast

from cashews import Cache

from domain import identifiers
from domain.customers import ContractStatus, Customer, PhoneNumber
from domain.refusals import NotFound, UpstreamUnavailable
from integrations.http.client import Answer, Unusable, Upstream
from integrations.http.parsing import Text, Wire, expect, or_unavailable, segment

SYSTEM = "Customer Management"


class _Phone(Wire):
    number: Text
    type: str
    has_hifpt: bool
    is_messaging: bool


class _Customer(Wire):
    customer_id: Text
    contract_number: str
    name: Text
    phone_numbers: tuple[_Phone, ...]
    contract_status: Literal["active", "suspended", "terminated"]
    service_address: str
    email: str | None = None


class CustomerManagement:
    """
    `keep` is how many seconds an answer is good for, `stale` how long it may still be shown when
    Customer Management is down. Only answers are kept: an unknown contract is asked for again.
    """

    def __init__(
        self, http: Upstream, *, keep: float = 300.0, stale: float = 3600.0, size: int = 20_000
    ) -> None:
        self._http = http
        self._keep = keep
        self._stale = stale
        self._cache = Cache()
        self._cache.setup("mem://", size=2 * size, check_interval=60)

    async def aclose(self) -> None:
        await self._cache.close()

    async def customer(self, contract_number: str, *, fresh: bool = False) -> Customer:
        """
        Return the customer; raise NotFound or UpstreamUnavailable.

        `fresh` asks Customer Management itself, for what money depends on. Without it the answer
        may be five minutes old, and up to an hour while Customer Management is down.
        """
        number = segment(contract_number, what_vi="hợp đồng", what_en="contract")
        if fresh:
            return await self._fetch(number)
        if (kept := await self._kept("fresh", number)) is not None:
            return kept
        # One asks, the others wait for its answer.
        async with self._cache.lock(f"lock:{number}", expire=30, check_interval=0.01):
            if (kept := await self._kept("fresh", number)) is not None:
                return kept
            try:
                return await self._fetch(number)
            except UpstreamUnavailable:
                if (kept := await self._kept("stale", number)) is not None:
                    return kept
                raise

    async def _kept(self, age: str, number: str) -> Customer | None:
        return cast("Customer | None", await self._cache.get(f"{age}:{number}"))

    async def _fetch(self, number: str) -> Customer:
        def read(answer: Answer) -> Customer:
            if answer.status == 404:
                raise NotFound(what_vi="hợp đồng", what_en="contract", id=number)
            told = expect(_Customer, answer)
            if identifiers.contract_number(told.contract_number) != number:
                raise Unusable("another contract's answer")
            return _customer(told)

        with or_unavailable(SYSTEM):
            customer = await self._http.call(
                "customer",
                "GET",
                f"/api/customers/{number}",
                read=read,
                repeatable=True,
                subject=number,
            )
        await self._cache.set(f"fresh:{number}", customer, expire=self._keep)
        await self._cache.set(f"stale:{number}", customer, expire=self._stale)
        return customer


def _customer(told: _Customer) -> Customer:
    return Customer(
        customer_id=told.customer_id,
        name=told.name,
        contract_number=identifiers.contract_number(told.contract_number),
        contract_status=ContractStatus(told.contract_status.upper()),
        service_address=told.service_address,
        phone_numbers=tuple(
            PhoneNumber(
                number=phone.number,
                type=phone.type,
                has_hifpt=phone.has_hifpt,
                is_messaging=phone.is_messaging,
            )
            for phone in told.phone_numbers
        ),
        email=told.email,
    )
