"""Every response names its request: in `X-Request-Id`, and in GraphQL's extensions as well."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from websockets.sync.client import connect

from integrations.http import client
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

NEW = re.compile(r"[0-9a-f]{32}")
HEADER = "x-request-id"
EVERY_PATH = [
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/.well-known/jwks.json"),
    ("GET", "/pay/unknown"),
    ("GET", "/unknown"),
    ("GET", "/webhooks/unknown"),
    ("DELETE", "/webhooks/vnpay"),
    ("POST", "/payments"),
    ("POST", "/oauth/token"),
    ("GET", "/graphql"),
    ("PUT", "/graphql"),
]


@pytest.mark.parametrize(("method", "path"), EVERY_PATH, ids=" ".join)
def test_every_path_answers_with_the_callers_id_or_a_new_one(
    api: Api, method: str, path: str
) -> None:
    assert api.http.request(method, path, headers={HEADER: "app-7"}).headers[HEADER] == "app-7"
    new = [api.http.request(method, path).headers[HEADER] for _ in range(2)]
    assert all(NEW.fullmatch(id_) for id_ in new)
    assert new[0] != new[1]


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{ __typename }"},
        {"query": "{ me { staffId } }"},
        {"query": "{ unknown }"},
        {"query": "{"},
        {},
        {"query": "query ($x: Int!) { payments(first: $x) { edges { cursor } } }"},
        {"query": "subscription { paymentChanged { id } }"},
    ],
    ids=str,
)
@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
def test_a_graphql_answer_has_it_in_its_extensions(
    api: Api, body: dict[str, Any], accept: str
) -> None:
    answer = api.http.post("/graphql", json=body, headers={HEADER: "app-7", "accept": accept})
    assert answer.json()["extensions"] == {"requestId": "app-7"}


@pytest.mark.parametrize("sent", ["", "a b", "é", "x" * 65, "4111111111111111", "<script>", "-"])
def test_an_id_that_is_not_short_and_plain_is_replaced(api: Api, sent: str) -> None:
    headers = {HEADER: sent.encode("latin-1")}
    answer = api.http.post("/graphql", json={"query": "{ __typename }"}, headers=headers)
    assert NEW.fullmatch(answer.headers[HEADER])


def test_a_socket_has_one_id_for_all_its_operations(api: Api) -> None:
    protocols: list[Any] = ["graphql-transport-ws"]
    address = f"{api.url.replace('http', 'ws')}/graphql"
    with connect(address, subprotocols=protocols, additional_headers={HEADER: "app-8"}) as socket:
        assert socket.response is not None
        assert socket.response.headers[HEADER] == "app-8"
        payload = {"authorization": f"Bearer {api.token('NV001')}"}
        socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(socket.recv(timeout=10)) == {"type": "connection_ack"}
        for name in "ab":
            socket.send(
                json.dumps(
                    {"type": "subscribe", "id": name, "payload": {"query": "{ __typename }"}}
                )
            )
            answer = json.loads(socket.recv(timeout=10))
            assert answer["payload"]["extensions"] == {"requestId": "app-8"}
            assert json.loads(socket.recv(timeout=10))["type"] == "complete"


def test_the_systems_behind_us_see_the_same_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []
    ask = type(api.context.revenue).bills

    async def noted(*args: Any, **options: Any) -> Any:
        seen.append(client.request_id.get())
        return await ask(*args, **options)

    monkeypatch.setattr(type(api.context.revenue), "bills", noted)
    answer = api.http.post(
        "/graphql",
        json={
            "query": "query ($n: ID!) { bills(contractNumber: $n) { billNumber } }",
            "variables": {"n": api.contract()},
        },
        headers={HEADER: "app-9", "authorization": f"Bearer {api.token('NV001')}"},
    )
    assert "errors" not in answer.json(), answer.text
    assert set(seen) == {"app-9"}
