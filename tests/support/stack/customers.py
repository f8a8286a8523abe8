"""Collectors and customers that no other journey uses."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass

from tests.support.stack.client import Client
from tests.support.stack.processes import Stack
from tests.support.stack.sandbox import Json

# The workers of pytest share one stack, so each takes numbers of its own.
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
CONTRACT_NUMBERS = itertools.count(2000 + 1000 * WORKER)
COLLECTOR_NUMBERS = itertools.count(1000 + 100 * WORKER)


@dataclass(frozen=True, slots=True)
class Customer:
    contract: str
    bills: list[Json]


def new_staff_id() -> str:
    """Return the id of a collector that no other journey uses."""
    return f"NV{next(COLLECTOR_NUMBERS)}"


async def new_collector(stack: Stack) -> Client:
    """Return a new collector, logged in; the caller closes the client."""
    return await Client(stack.url).log_in(new_staff_id())


async def new_customer(collector: Client, bills: int) -> Customer:
    """Return an active contract that owes at least *bills* bills and that no other journey uses."""
    while True:
        contract = f"SGFDN{next(CONTRACT_NUMBERS)}"
        found = await collector.execute("CustomerBills", contractNumber=contract)
        if found["contractStatus"] == "ACTIVE" and len(found["bills"]) >= bills:
            return Customer(contract, found["bills"])


async def open_payment_of(collector: Client, contract: str) -> Json | None:
    """Return the contract's payment that is PROCESSING, or None."""
    page = await collector.execute(
        "Transactions", filter={"contractNumber": contract, "status": ["PROCESSING"]}
    )
    return page["edges"][0]["node"] if page["edges"] else None
