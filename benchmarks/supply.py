"""The supply of a load: tokens, unpaid contracts and bills, and requests as bytes."""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import graphql

from benchmarks.client.http import Address, Response, connect, get, post
from benchmarks.stack import Stack

Json = dict[str, Any]

_FIRST_CONTRACT, _FIRST_COLLECTOR = 2000, 1000
_CONCURRENT_LOGINS, _CONCURRENT_READS = 4, 16
# The sandbox's keys in development. Every fortieth of its contracts is terminated.
UPSTREAM_KEYS = {
    name: {"x-api-key": f"sandbox-{name}-key"} for name in ("customer", "revenue", "debt")
}
_TERMINATED_REMAINDER, _TERMINATED_EVERY = 39, 40
OFFICE = "FI001"


class SupplyError(Exception):
    """A request in preparation of a load failed; the text is the answer."""


@dataclass(frozen=True, slots=True)
class Bill:
    """An unpaid bill of a contract; the amount is in đồng."""

    contract: str
    number: str
    amount: int


class Supply:
    """The supply of one stack; contracts and bills are handed out once."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.collectors: list[str] = []
        self.office = ""
        self._documents = documents(stack.source.root / "clients")
        self._numbers = itertools.count(_FIRST_CONTRACT)
        self._bills: deque[Bill] = deque()

    async def log_in(self, collectors: int) -> None:
        """Log in an office worker and so many collectors; `collectors` holds their tokens."""
        self.office = self.office or await self.token(OFFICE)
        missing = range(_FIRST_COLLECTOR + len(self.collectors), _FIRST_COLLECTOR + collectors)
        self.collectors += await self.tokens([f"NV{number}" for number in missing])

    async def tokens(self, staff_ids: list[str]) -> list[str]:
        """Log in several people, a few at once, and return their tokens in order."""
        at_once = asyncio.Semaphore(_CONCURRENT_LOGINS)

        async def log_in(staff_id: str) -> str:
            async with at_once:
                return await self.token(staff_id)

        return list(await asyncio.gather(*map(log_in, staff_ids)))

    async def token(self, staff_id: str) -> str:
        given = {"staffId": staff_id, "password": f"mobinet{staff_id}"}
        payload = await self.send("Login", {"input": given})
        return payload["session"]["accessToken"]

    def request(self, operation: str, variables: Json, token: str = "") -> bytes:
        """Return the bytes of an operation of the shipped clients."""
        body = {
            "query": self.document(operation),
            "operationName": operation,
            "variables": variables,
        }
        return post("/graphql", body, _bearer(token))

    def typename(self, token: str) -> bytes:
        """Return the bytes of the query `{__typename}`."""
        return post("/graphql", {"query": "{__typename}"}, _bearer(token))

    def document(self, operation: str) -> str:
        return self._documents[operation]

    async def send(self, operation: str, variables: Json, token: str = "") -> Any:
        """Send one operation; return the value of its only field. Raises SupplyError."""
        response = await once(self.stack.api, self.request(operation, variables, token))
        answer = json.loads(response.body or b"{}")
        if response.status != 200 or answer.get("errors"):
            raise SupplyError(f"{operation}: {response.status} {response.body[:500]!r}")
        value: Any = next(iter(answer["data"].values()))
        refusals: Any = value.get("errors") if value else None
        if refusals:
            raise SupplyError(f"{operation}: {refusals}")
        return value

    async def control(self, name: str, body: Json) -> Json:
        """Call one of the sandbox's controls and return its answer. Raises SupplyError."""
        response = await once(self.stack.sandbox, post(f"/_sandbox/{name}", body))
        if response.status != 200:
            raise SupplyError(f"sandbox {name}: {response.status} {response.body[:500]!r}")
        return response.json()

    async def last_upstream_request(self) -> int:
        """Return the number of the sandbox's last request."""
        response = await once(self.stack.sandbox, get("/_sandbox/requests?system=none"))
        return response.json()["last"]

    def contract(self) -> str:
        """Return an active contract that was not handed out before."""
        number = next(self._numbers)
        if (number - _FIRST_CONTRACT) % _TERMINATED_EVERY == _TERMINATED_REMAINDER:
            number = next(self._numbers)
        return f"SGFDN{number}"

    async def stock(self, count: int) -> None:
        """Fetch bills from the sandbox until *count* of them are in stock."""
        contracts = iter([self.contract() for _ in range(count - len(self._bills))])

        async def fetch_bills() -> None:
            connection = await connect(self.stack.sandbox)
            for contract in contracts:
                path = f"/revenue/api/bills/{contract}"
                response = await connection.request(get(path, UPSTREAM_KEYS["revenue"]))
                bill = response.json()["bills"][0]
                self._bills.append(Bill(contract, bill["bill_number"], bill["amount"]))
            connection.close()

        await asyncio.gather(*(fetch_bills() for _ in range(_CONCURRENT_READS)))

    def payments(self, method: str, collectors: int | None = None) -> Iterator[bytes]:
        """Yield ProcessPayment requests for the bills in stock, with the collectors in turn."""
        tokens = itertools.cycle(self.collectors[:collectors])
        while self._bills:
            yield self.payment(method, self._bills.popleft(), next(tokens))

    def bill(self) -> Bill:
        """Take a bill from the stock, which must not be empty."""
        return self._bills.popleft()

    def payment(self, method: str, bill: Bill, token: str) -> bytes:
        item = {"type": "BILL", "id": bill.number, "amount": bill.amount}
        variables = {
            "idempotencyKey": uuid.uuid4().hex,
            "contractNumber": bill.contract,
            "method": method,
            "items": [item],
        }
        return self.request("ProcessPayment", {"input": variables}, token)


async def once(address: Address, request: bytes) -> Response:
    connection = await connect(address)
    try:
        return await connection.request(request)
    finally:
        connection.close()


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"} if token else {}


@cache
def documents(folder: Path) -> dict[str, str]:
    """Return each operation of the shipped clients with its fragments."""
    definitions = {
        definition.name.value: definition
        for path in sorted(folder.glob("*.graphql"))
        for definition in graphql.parse(path.read_text()).definitions
        if isinstance(definition, graphql.OperationDefinitionNode | graphql.FragmentDefinitionNode)
        and definition.name
    }
    return {
        name: "\n".join(graphql.print_ast(definitions[each]) for each in _needed(name, definitions))
        for name, definition in definitions.items()
        if isinstance(definition, graphql.OperationDefinitionNode)
    }


def _needed(operation: str, definitions: dict[str, Any]) -> list[str]:
    needed = [operation]
    for name in needed:  # the list grows during the loop
        spreads = _Spreads()
        graphql.visit(definitions[name], spreads)
        needed += [spread for spread in spreads.names if spread not in needed]
    return needed


class _Spreads(graphql.Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def enter_fragment_spread(self, node: graphql.FragmentSpreadNode, *_: object) -> None:
        self.names.append(node.name.value)
