"""The resolvers in the test's own loop, with a clock and a gateway that the test sets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import stamina

from db import bills, engine
from domain.attempts import Attempt
from domain.bills import Item
from domain.gateways import Call, Notice, Purchase, Reply, Verdict
from domain.methods import GatewayName, PaymentMethod
from domain.payment_evidence import Evidence, EvidenceSource, GatewayResult
from domain.payment_request import NotificationChannels, ProcessPayment
from domain.payments import Payment
from domain.reversals import Reversal
from domain.staff import Actor
from integrations.gateways import Gateways
from mobinet.bootstrap import process_context
from mobinet.settings import Settings
from resolvers import payments, sessions
from resolvers.context import Context
from tests.support.builders import bill_item
from tests.support.clocks import SetClock
from tests.support.running_api import Sandbox, key


class Clock(SetClock):
    """A clock that stands still until the test moves it."""

    def __init__(self, at: datetime) -> None:
        super().__init__(self._now)
        self.at = at

    async def _now(self) -> datetime:
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class StubGateway:
    """
    A gateway whose results the test sets, and which records its calls.

    `inquired_at` has the time of each inquiry, and `refunded` each refund as (id, whole).
    """

    name: GatewayName = GatewayName.VNPAY
    paths: tuple[str, ...] = ("vnpay",)
    methods: frozenset[str] = frozenset({"POST"})
    revocable: bool = False
    inquiry_interval: float = 0
    start_result: GatewayResult = GatewayResult.ACCEPTED
    inquiry_result: GatewayResult = GatewayResult.UNPAID
    refund_result: GatewayResult = GatewayResult.PAID
    refund_inquiry_result: GatewayResult = GatewayResult.UNKNOWN
    inquired_at: list[datetime] = field(default_factory=list)
    refunded: list[tuple[str, bool]] = field(default_factory=list)

    def ready(self) -> bool:
        return True

    def retry_after_ms(self) -> int | None:
        return None

    async def start(self, attempt: Attempt, purchase: Purchase, *, now: datetime) -> Evidence:
        return self._evidence(self.start_result, attempt)

    async def inquire(self, attempt: Attempt, *, now: datetime) -> Evidence:
        self.inquired_at.append(now)
        return self._evidence(self.inquiry_result, attempt)

    async def refund(
        self, attempt: Attempt, reversal: Reversal, *, whole: bool, now: datetime
    ) -> Evidence:
        self.refunded.append((reversal.id, whole))
        return self._evidence(self.refund_result, attempt)

    async def inquire_refund(
        self, attempt: Attempt, reversal: Reversal, *, known: Collection[str], now: datetime
    ) -> Evidence:
        self.inquired_at.append(now)
        return self._evidence(self.refund_inquiry_result, attempt)

    def read_webhook(self, call: Call) -> tuple[Notice, ...]:
        raise NotImplementedError

    def answer(self, verdict: Verdict) -> Reply:
        raise NotImplementedError

    def _evidence(self, result: GatewayResult, attempt: Attempt) -> Evidence:
        is_our_own = result in {GatewayResult.UNKNOWN, GatewayResult.NOT_CONNECTED}
        return Evidence(
            source=None if is_our_own else EvidenceSource.INQUIRY,
            origin="test",
            result=result,
            money=attempt.money if result is GatewayResult.PAID else None,
            gateway_id="G1" if result is GatewayResult.PAID else None,
        )


@dataclass
class Backend:
    """
    The resolvers over a real database, Redis and sandbox, in the loop of the test.

    `context` has the test's clock and gateway; `real` are the configured gateways.
    """

    context: Context
    clock: Clock
    gateway: StubGateway
    sandbox: Sandbox
    contracts: Any
    collectors: Any
    real: Gateways

    async def as_staff(self, staff_id: str) -> Context:
        """Return the context of this member of staff, logged in."""
        login = await sessions.login(self.context, staff_id=staff_id, password=f"mobinet{staff_id}")
        staff = login.staff
        return self.context.for_actor(
            Actor(
                id=staff.staff_id,
                name=staff.name,
                role=staff.role,
                permissions=staff.permissions,
                team=staff.team,
            )
        )

    async def collector(self) -> Context:
        """Return the context of a collector that no other test uses."""
        return await self.as_staff(f"NV{next(self.collectors)}")

    async def owed(self, contract: str) -> Item:
        """Return the contract's first unpaid bill as an item of a payment."""
        first = (await self.context.revenue.bills(contract))[0]
        return bill_item(first.bill_number, first.amount)

    async def new_payment(
        self, by: Context, method: PaymentMethod = PaymentMethod.VNPAY_QR, **but: Any
    ) -> Payment:
        """Process a payment of a new contract's first bill, changed as *but* says."""
        contract = but.pop("contract_number", None) or f"SGFDN{next(self.contracts)}"
        command = ProcessPayment(
            idempotency_key=key(),
            contract_number=contract,
            method=method,
            items=but.pop("items", None) or (await self.owed(contract),),
            customer_phone=but.pop("customer_phone", None),
            notify=but.pop("notify", None) or NotificationChannels(),
        )
        return (await payments.process(by, command)).payment

    async def reload(self, payment: Payment) -> Payment:
        """Return the payment as it is now."""
        return await payments.read(await self.as_staff("AD001"), payment.id)

    async def is_free(self, payment: Payment) -> bool:
        """Return whether no payment holds or has paid the payment's bills."""
        return not await bills.collections(payment.contract_number, payment.items)

    async def cases(self, payment: Payment) -> list[str]:
        """Return the kinds of the payment's cases."""
        rows = await engine.fetch("select kind from money_case where payment = $1", payment.id)
        return [row["kind"] for row in rows]


# The contracts and collectors that tests of a module's database have not used yet.
_UNUSED: dict[str, tuple[Any, Any]] = {}


@pytest.fixture
async def backend(
    api_settings: Settings, sandbox: Sandbox, module_database: str
) -> AsyncIterator[Backend]:
    contracts, collectors = _UNUSED.setdefault(
        module_database,
        (iter([n for n in range(3000, 9000) if (n - 2000) % 40 != 39]), iter(range(1300, 2000))),
    )
    sandbox.reset()
    gateway = StubGateway()
    with stamina.set_testing(True, attempts=1):
        async with process_context(api_settings) as context:
            clock = Clock(await context.clock())
            given = replace(context, clock=clock, gateways=Gateways([gateway]))
            yield Backend(given, clock, gateway, sandbox, contracts, collectors, context.gateways)
            await asyncio.sleep(0)
