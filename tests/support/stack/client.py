"""A client of the API that sends the shipped clients' documents over HTTP and WebSocket."""

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
from tests.support.stack.sandbox import Json
from tests.support.stack.waiting import PATIENCE

CLIENTS = ROOT / "clients"
SUBPROTOCOL = websockets.Subprotocol("graphql-transport-ws")


class TopLevelErrors(Exception):
    """Top-level errors of an answer; `codes` are their `extensions.code`."""

    def __init__(self, operation: str, status: int, errors: list[Json]) -> None:
        super().__init__(f"{operation}: {status} {json.dumps(errors, ensure_ascii=False)}")
        self.codes = [error.get("extensions", {}).get("code") for error in errors]


class Client:
    """One phone or browser: it calls one API with the token of one login."""

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
        """Return the same login at another API, over this client's connections."""
        other = Client.__new__(Client)
        other.__dict__ = self.__dict__ | {"url": url}
        return other

    # Requests

    async def execute(self, operation: str, **variables: object) -> Any:
        """
        Send an operation of the shipped documents; return the value of its one field.

        Raises TopLevelErrors where the answer has errors.
        """
        body = {
            "query": document(operation),
            "operationName": operation,
            "variables": variables,
        }
        headers = {"authorization": f"Bearer {self.token}"} if self.token else {}
        response = await self._http.post(f"{self.url}/graphql", json=body, headers=headers)
        answer = response.json()
        if answer.get("errors") or response.status_code != 200:
            raise TopLevelErrors(operation, response.status_code, answer.get("errors", []))
        (value,) = answer["data"].values()
        return value

    async def get(self, address: str, **headers: str) -> httpx.Response:
        url = address if address.startswith("http") else f"{self.url}{address}"
        return await self._http.get(url, headers=headers)

    async def post_form(self, path: str, **fields: str) -> httpx.Response:
        return await self._http.post(f"{self.url}{path}", data=fields)

    async def post(self, path: str, body: Json, **headers: str) -> httpx.Response:
        """Call the REST API with the token of this login."""
        given = {"authorization": f"Bearer {self.token}"} | headers
        return await self._http.post(f"{self.url}{path}", json=body, headers=given)

    async def log_in(self, staff_id: str) -> Self:
        payload = await self.execute(
            "Login", input={"staffId": staff_id, "password": f"mobinet{staff_id}"}
        )
        assert payload["errors"] == [], payload
        self.session = payload["session"]
        self.token = self.session["accessToken"]
        return self

    async def log_in_with_secret(self, client_id: str, secret: str) -> Self:
        """Log in as a merchant or a service client."""
        response = await self.post_form(
            "/oauth/token",
            grant_type="client_credentials",
            client_id=client_id,
            client_secret=secret,
        )
        self.token = response.raise_for_status().json()["access_token"]
        return self

    # Payments

    async def process(
        self, contract: str, method: str, *bills: Json, key: str | None = None, **more: object
    ) -> Json:
        """Send ProcessPayment for whole bills or fees; return its payload with the refusals."""
        return await self.execute(
            "ProcessPayment",
            input={
                "idempotencyKey": key or new_key(),
                "contractNumber": contract,
                "method": method,
                "items": [payment_item(owed) for owed in bills],
                **more,
            },
        )

    async def pay(
        self, contract: str, method: str, *bills: Json, key: str | None = None, **more: object
    ) -> Json:
        """Send ProcessPayment, which must succeed; return the payment."""
        payload = await self.process(contract, method, *bills, key=key, **more)
        assert payload["errors"] == [], payload
        return payload["payment"]

    async def payment(self, payment_id: str) -> Json:
        return await self.execute("Payment", id=payment_id)

    async def office_view(self, payment_id: str) -> Json:
        """Return the payment as dashboards see it, with its gateway reference and its hold."""
        page = await self.execute("Transactions", filter={"search": payment_id})
        (edge,) = page["edges"]
        return edge["node"]

    async def bills(self, contract: str) -> dict[str, Json]:
        customer = await self.execute("CustomerBills", contractNumber=contract)
        return {bill["billNumber"]: bill for bill in customer["bills"]}

    async def limits(self) -> dict[str, Json]:
        me = await self.execute("Me")
        return {limit["kind"]: limit for limit in me["limits"]}

    # Subscriptions

    @asynccontextmanager
    async def subscribe(self, operation: str, **variables: object) -> AsyncGenerator[Events]:
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
        """Open a connection that the API has acknowledged."""
        address = f"{self.url.replace('http', 'ws', 1)}/graphql"
        async with websockets.connect(
            address, subprotocols=[SUBPROTOCOL], proxy=None, close_timeout=1
        ) as socket:
            payload = {"authorization": f"Bearer {self.token}"}
            await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            async with asyncio.timeout(PATIENCE):
                frame = json.loads(await socket.recv())
            assert frame["type"] == "connection_ack", frame
            yield socket

    def watch(self, payment_id: str):
        """Watch the payment as it is, then each newer version."""
        return self.subscribe("PaymentStatus", id=payment_id)


class Events:
    """The events of a subscription; the iterator ends when the API completes it."""

    def __init__(self, socket: websockets.ClientConnection) -> None:
        self._socket = socket

    def __aiter__(self) -> AsyncIterator[Json]:
        return self

    async def __anext__(self) -> Json:
        async with asyncio.timeout(PATIENCE):
            frame = json.loads(await self._socket.recv())
        match frame["type"]:
            case "next":
                assert "errors" not in frame["payload"], frame
                (event,) = frame["payload"]["data"].values()
                return event
            case "complete":
                raise StopAsyncIteration
            case _:
                raise AssertionError(frame)

    async def next(self) -> Json:
        return await anext(self)

    async def until(self, condition: Callable[[Json], bool]) -> Json:
        """Return the next event for which *condition* holds."""
        async for event in self:
            if condition(event):
                return event
        raise AssertionError("the subscription was completed before such an event")

    async def remaining(self) -> list[Json]:
        """Return the events up to the end, to which the API must complete the subscription."""
        return [event async for event in self]


def new_key() -> str:
    return uuid.uuid4().hex


def payment_item(owed: Json) -> Json:
    """Return a bill or fee as an item of a payment."""
    if "feeId" in owed:
        return {"type": "FEE", "id": owed["feeId"], "amount": owed["amount"]}
    return {"type": "BILL", "id": owed["billNumber"], "amount": owed["amount"]}


def is_genuine(payload: str, value: str, key_id: str, jwks: Json) -> bool:
    """Return whether *value* is the Ed25519 signature of *payload* by the published key."""
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
    """Return an operation of the shipped documents with the fragments that it needs."""
    definitions = _definitions()
    needed = [operation]
    for name in needed:  # the loop appends to it

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
        for definition in itertools.chain.from_iterable(part.definitions for part in parsed)
        if isinstance(definition, graphql.OperationDefinitionNode | graphql.FragmentDefinitionNode)
        and definition.name
    }
