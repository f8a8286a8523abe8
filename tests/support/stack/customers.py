"""Collectors and customers of a journey's own."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass

from tests.support.stack.client import Client
from tests.support.stack.outside import Json
from tests.support.stack.processes import Stack

# Each test process numbers its own: they share the stack.
NTH = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


CONTRACTS = itertools.count(2000 + 1000 * NTH)


COLLECTORS = itertools.count(1000 + 100 * NTH)


@dataclass(frozen=True, slots=True)
class Customer:
    contract: str
    bills: list[Json]


async def new_collector(stack: Stack) -> Client:
    """A member of staff whom no other journey knows, logged in; to be closed."""
    return await Client(stack.url).log_in(f"NV{next(COLLECTORS)}")


async def new_customer(collector: Client, bills: int) -> Customer:
    """A contract that no other journey knows, which owes at least so many bills."""
    while True:
        contract = f"SGFDN{next(CONTRACTS)}"
        told = await collector.ask("CustomerBills", contractNumber=contract)
        if told["contractStatus"] == "ACTIVE" and len(told["bills"]) >= bills:
            return Customer(contract, told["bills"])


async def the_open_one(collector: Client, contract: str) -> Json | None:
    page = await collector.ask(
        "Transactions", filter={"contractNumber": contract, "status": ["PROCESSING"]}
    )
    return page["edges"][0]["node"] if page["edges"] else None
