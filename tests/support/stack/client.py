"""The clients that are shipped, played by a program: their documents, over HTTP and WebSocket."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Self

import graphql
import httpx
import websockets
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.support import ROOT
from tests.support.stack.outside import PATIENCE, Json

CLIENTS = ROOT / "clients"
SUBPROTOCOL = websockets.Subprotocol("graphql-transport-ws")


class Refused(Exception):
    """Errors on top of the answer; `codes` are their `extensions.code`."""

    def __init__(self, operation: str, status: int, errors: list[Json]) -> None:
        super().__init__(f"{operation}: {status} {json.dumps(errors, ensure_ascii=False)}")
        self.codes = [error.get("extensions", {}).get("code") for error in errors]


class Client:
    """One phone or one browser: it speaks to one API, with the token of one login."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url
        self.token = token
        self.session: Json = {}
        self._http = httpx.AsyncClient(timeout=40, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    def at(self, url: str) -> Client:
        """The same login at another API; its connections are this client's."""
        other = Client.__new__(Client)
        other.__dict__ = self.__dict__ | {"url": url}
        return other

    # Asking

    async def ask(self, operation: str, **variables: object) -> Any:
        """Return the one field that the operation of the shipped documents asks for."""
        body = {
            "query": document(operation),
            "operationName": operation,
            "variables": variables,
        }
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        response = await self._http.post(f"{self.url}/graphql", json=body, headers=headers)
        answer = response.json()
        if answer.get("errors") or response.status_code != 200:
            raise Refused(operation, response.status_code, answer.get("errors", []))
        (told,) = answer["data"].values()
        return told

    async def get(self, address: str, **headers: str) -> httpx.Response:
        url = address if address.startswith("http") else f"{self.url}{address}"
        return await self._http.get(url, headers=headers)

    async def post_form(self, path: str, **fields: str) -> httpx.Response:
        return await self._http.post(f"{self.url}{path}", data=fields)

    async def post(self, path: str, body: Json, **headers: str) -> httpx.Response:
        """Call the REST way in, with the token of this login."""
        given = {"authorization": f"Bearer {self.token}"} | headers
        return await self._http.post(f"{self.url}{path}", json=body, headers=given)

    async def log_in(self, staff_id: str) -> Self:
        told = await self.ask(
            "Login", input={"staffId": staff_id, "password": f"mobinet{staff_id}"}
        )
        assert told["errors"] == [], told
        self.session = told["session"]
        self.token = self.session["accessToken"]
        return self

    async def log_in_as_a_program(self, client_id: str, secret: str) -> Self:
        response = await self.post_form(
            "/oauth/token",
            grant_type="client_credentials",
            client_id=client_id,
            client_secret=secret,
        )
        self.token = response.raise_for_status().json()["access_token"]
        return self

    # Paying

    async def process(
        self, contract: str, method: str, *bills: Json, key: str | None = None, **more: object
    ) -> Json:
        """Send ProcessPayment for whole bills or fees and return its payload, refusals and all."""
        return await self.ask(
            "ProcessPayment",
            input={
                "idempotencyKey": key or a_key(),
                "contractNumber": contract,
                "method": method,
                "items": [an_item(owed) for owed in bills],
                **more,
            },
        )

    async def pay(
        self, contract: str, method: str, *bills: Json, key: str | None = None, **more: object
    ) -> Json:
        """Return the payment of a request that is expected to be taken."""
        payload = await self.process(contract, method, *bills, key=key, **more)
        assert payload["errors"] == [], payload
        return payload["payment"]

    async def payment(self, payment_id: str) -> Json:
        return await self.ask("Payment", id=payment_id)

    async def office_view(self, payment_id: str) -> Json:
        """The payment as the dashboards see it: with its gateway's reference and its hold."""
        page = await self.ask("Transactions", filter={"search": payment_id})
        (edge,) = page["edges"]
        return edge["node"]

    async def bills(self, contract: str) -> dict[str, Json]:
        customer = await self.ask("CustomerBills", contractNumber=contract)
        return {bill["billNumber"]: bill for bill in customer["bills"]}

    async def limits(self) -> dict[str, Json]:
        told = await self.ask("Me")
        return {limit["kind"]: limit for limit in told["limits"]}

    # Watching

    @asynccontextmanager
    async def subscribed(self, operation: str, **variables: object) -> AsyncGenerator[Events]:
        async with self.socket() as socket:
            await socket.send(
                json.dumps(
                    {
                        "id": "1",
                        "type": "subscribe",
                        "payload": {
                            "query": document(operation),
                            "operationName": operation,
                            "variables": variables,
                        },
                    }
                )
            )
            yield Events(socket)

    @asynccontextmanager
    async def socket(self) -> AsyncGenerator[websockets.ClientConnection]:
        """A connection that has been acknowledged."""
        address = f"{self.url.replace('http', 'ws', 1)}/graphql"
        async with websockets.connect(
            address, subprotocols=[SUBPROTOCOL], proxy=None, close_timeout=1
        ) as socket:
            hello = {"authorization": f"Bearer {self.token}"}
            await socket.send(json.dumps({"type": "connection_init", "payload": hello}))
            async with asyncio.timeout(PATIENCE):
                told = json.loads(await socket.recv())
            assert told["type"] == "connection_ack", told
            yield socket

    def watch(self, payment_id: str):
        """The payment as it is, then each newer version: `async with … as events`."""
        return self.subscribed("PaymentStatus", id=payment_id)


class Events:
    """What a subscription sends: an async iterator that ends when the API completes it."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    def __aiter__(self) -> AsyncIterator[Json]:
        return self

    async def __anext__(self) -> Json:
        async with asyncio.timeout(PATIENCE):
            told = json.loads(await self._socket.recv())
        match told["type"]:
            case "next":
                assert "errors" not in told["payload"], told
                (event,) = told["payload"]["data"].values()
                return event
            case "complete":
                raise StopAsyncIteration
            case _:
                raise AssertionError(told)

    async def next(self) -> Json:
        return await anext(self)

    async def until(self, condition: Callable[[Json], bool]) -> Json:
        """Return the first event from now on that *condition* holds for."""
        async for event in self:
            if condition(event):
                return event
        raise AssertionError("the subscription was completed before that")

    async def to_the_end(self) -> list[Json]:
        """Return every event that is left; the API must complete the subscription."""
        return [event async for event in self]


def a_key() -> str:
    return uuid.uuid4().hex


def an_item(owed: Json) -> Json:
    """What a customer owes, as it is named when it is paid."""
    if "feeId" in owed:
        return {"type": "FEE", "id": owed["feeId"], "amount": owed["amount"]}
    return {"type": "BILL", "id": owed["billNumber"], "amount": owed["amount"]}


def is_genuine(payload: str, value: str, key_id: str, jwks: Json) -> bool:
    """Check a receipt as a stranger would: Ed25519 over the exact text, by the published key."""
    key = next(key for key in jwks["keys"] if key["kid"] == key_id)
    assert (key["kty"], key["crv"]) == ("OKP", "Ed25519")
    public = Ed25519PublicKey.from_public_bytes(_unpadded(key["x"]))
    try:
        public.verify(_unpadded(value), payload.encode())
    except InvalidSignature:
        return False
    return True


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@cache
def document(operation: str) -> str:
    """An operation of the shipped documents with the fragments that it needs."""
    definitions = _definitions()
    needed = [operation]
    for name in needed:  # grows while it is read

        class Fragments(graphql.Visitor):
            def enter_fragment_spread(self, node: graphql.FragmentSpreadNode, *_: object) -> None:
                if node.name.value not in needed:
                    needed.append(node.name.value)

        graphql.visit(definitions[name], Fragments())
    return "\n\n".join(graphql.print_ast(definitions[name]) for name in needed)


@cache
def _definitions() -> dict[str, Any]:
    parsed = [graphql.parse(path.read_text()) for path in sorted(CLIENTS.glob("*.graphql"))]
    return {
        definition.name.value: definition
        for definition in itertools.chain.from_iterable(item.definitions for item in parsed)
        if isinstance(definition, graphql.OperationDefinitionNode | graphql.FragmentDefinitionNode)
        and definition.name
    }
