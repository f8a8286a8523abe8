"""`graphql-transport-ws` with a real client, a real socket and the toy schema."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import structlog
import websockets

from schema.graphql.websocket import CONNECTIONS, OPERATIONS, SocketLimits
from tests.support.graphql_server import Served, serving, until
from tests.support.socket_client import client

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


async def test_a_subscription_from_its_first_event_to_its_completion(served: Served) -> None:
    async with client(served) as connection:
        await connection.subscribe(
            "subscription($to: Int!) { count(to: $to) }", variables={"to": 2}
        )
        for number in range(2):
            payload = {"data": {"count": number}}
            assert await connection.receive() == {"id": "1", "type": "next", "payload": payload}
        assert await connection.receive() == {"id": "1", "type": "complete"}


async def test_each_event_has_its_own_context(served: Served) -> None:
    async with client(served) as connection:
        await connection.subscribe("subscription { nodes { stamp } }")
        stamps = [
            (await connection.receive())["payload"]["data"]["nodes"]["stamp"] for _ in range(2)
        ]
        assert stamps[0] < stamps[1]


async def test_queries_and_mutations_run_under_the_rules_of_http(served: Served) -> None:
    async with client(served) as connection:
        await connection.subscribe("query A { hello } query B { bug }", operationName="A")
        assert (await connection.receive())["payload"] == {"data": {"hello": "hello world"}}
        assert (await connection.receive())["type"] == "complete"
        await connection.subscribe('mutation { add(what: "ws") }')
        assert (await connection.receive())["payload"] == {"data": {"add": "ws"}}
        assert (await connection.receive())["type"] == "complete"
        for document, code in (
            ('mutation { a: add(what: "no") b: add(what: "no") }', "BAD_USER_INPUT"),
            ('mutation A { add(what: "no") } mutation B { add(what: "no") }', "BAD_USER_INPUT"),
            ("{ nodes { children(first: 10000) { id } } }", "QUERY_TOO_EXPENSIVE"),
            ("{", "BAD_USER_INPUT"),
            ("{ nothing }", "BAD_USER_INPUT"),
            ("query($n: String!) { hello(name: $n) }", "BAD_USER_INPUT"),
            ("subscription($n: Int!) { count(to: $n) }", "BAD_USER_INPUT"),
        ):
            await connection.subscribe(document)
            frame = await connection.receive()
            assert (frame["type"], frame["id"]) == ("error", "1")
            assert frame["payload"][0]["extensions"]["code"] == code
        assert "no" not in served.toy.ran


async def test_an_error_of_a_resolver_is_a_next_frame_with_errors(served: Served) -> None:
    async with client(served) as connection:
        await connection.subscribe("{ bug }")
        payload = (await connection.receive())["payload"]
        assert payload["data"] == {"bug": None}
        assert payload["errors"][0]["extensions"]["code"] == "INTERNAL"


async def test_a_refused_subscription_is_an_error_frame(served: Served) -> None:
    async with client(served, additional_headers={"accept-language": "en"}) as connection:
        await connection.subscribe("subscription { missing }")
        frame = await connection.receive()
        assert frame["type"] == "error"
        assert frame["payload"][0]["message"] == "Not there."
        assert frame["payload"][0]["extensions"]["code"] == "NOT_FOUND"
        await connection.subscribe("subscription { bug }")  # the id is free again
        assert (await connection.receive())["type"] == "next"
        frame = await connection.receive()
        assert frame["type"] == "error"
        assert frame["payload"][0]["extensions"]["code"] == "INTERNAL"
        assert "1234" not in json.dumps(frame)


async def test_ping_is_answered_before_and_after_the_login(served: Served) -> None:
    async with client(served, initialised=False) as connection:
        await connection.send({"type": "ping", "payload": {"at": 1}})
        assert await connection.receive() == {"type": "pong"}
        await connection.initialise()
        await connection.send({"type": "pong"})
        await connection.send({"type": "ping"})
        assert await connection.receive() == {"type": "pong"}


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "null",
        "[]",
        '"x"',
        b"{}",
        {},
        {"type": "hello"},
        {"type": ["ping"]},
        {"type": "connection_init", "payload": 1},
        {"type": "subscribe"},
        {"type": "subscribe", "id": [1], "payload": {"query": "{ hello }"}},
        {"type": "subscribe", "id": "", "payload": {"query": "{ hello }"}},
        {"type": "subscribe", "id": "1", "payload": None},
        {"type": "subscribe", "id": "1", "payload": {"query": 1}},
        {"type": "subscribe", "id": "1", "payload": {"query": "{ hello }", "variables": []}},
        {"type": "complete"},
    ],
)
async def test_a_malformed_frame_is_4400(served: Served, frame: object) -> None:
    is_login = isinstance(frame, dict) and frame.get("type") == "connection_init"
    async with client(served, initialised=not is_login) as connection:
        await connection.send(frame)
        assert (await connection.closed())[0] == 4400


async def test_a_frame_that_is_too_large_is_1009(served: Served) -> None:
    async with client(served) as connection:
        await connection.subscribe("{ hello }", variables={"x": "x" * 256 * 1024})
        assert (await connection.closed())[0] == 1009


@pytest.mark.parametrize("protocols", [None, ["graphql-ws"]])
async def test_another_subprotocol_is_4406(served: Served, protocols: list[Any] | None) -> None:
    async with client(served, initialised=False, subprotocols=protocols) as connection:
        assert await connection.closed() == (4406, "Subprotocol not acceptable")


async def test_operations_before_the_login_are_4401(served: Served) -> None:
    async with client(served, initialised=False) as connection:
        await connection.subscribe("{ hello }")
        assert await connection.closed() == (4401, "Unauthorized")


async def test_a_second_login_is_4429(served: Served) -> None:
    async with client(served) as connection:
        await connection.send({"type": "connection_init"})
        assert await connection.closed() == (4429, "Too many initialisation requests")


@pytest.mark.parametrize(("token", "code"), [("bad", 4403), ("crash", 4500)])
async def test_a_failed_login_is_4403_and_a_fault_4500(
    served: Served, token: str, code: int
) -> None:
    async with client(served, initialised=False) as connection:
        payload = {"authorization": f"Bearer {token}"}
        await connection.send({"type": "connection_init", "payload": payload})
        assert (await connection.closed())[0] == code


async def test_an_id_in_use_is_4409_with_a_reason_that_fits(served: Served) -> None:
    async with client(served) as connection:
        await connection.subscribe("subscription { wait }", id="ệ" * 100)
        await connection.receive()
        await connection.subscribe("{ hello }", id="ệ" * 100)
        code, reason = await connection.closed()
        assert code == 4409
        assert reason.startswith("Subscriber for ệệ")
        assert len(reason.encode()) <= 123


async def test_a_late_login_is_4408() -> None:
    async with serving(socket_limits=SocketLimits(init_seconds=2)) as served:
        async with client(served, initialised=False) as connection:
            assert await connection.closed() == (4408, "Connection initialisation timeout")
        async with client(served) as other:  # logged in: the deadline is gone
            await asyncio.sleep(2.1)
            await other.send({"type": "ping"})
            assert await other.receive() == {"type": "pong"}


async def test_the_socket_ends_with_its_token() -> None:
    async with serving() as served, client(served, initialised=False) as connection:
        await connection.initialise("soon")
        await connection.subscribe("subscription { wait }")
        await connection.receive()
        assert await connection.closed() == (4401, "Token expired")
        await asyncio.wait_for(served.toy.finally_ran.wait(), 1)


async def test_complete_from_the_client_cancels_and_frees_the_id() -> None:
    async with serving() as served, client(served) as connection:
        await connection.subscribe("subscription { wait }")
        await connection.receive()
        await connection.send({"id": "1", "type": "complete"})
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)
        await connection.send({"id": "unknown", "type": "complete"})
        await connection.subscribe("{ hello }")
        assert (await connection.receive())["payload"] == {"data": {"hello": "hello world"}}


async def test_a_mutation_is_finished_after_its_socket_has_closed() -> None:
    async with serving() as served:
        async with client(served) as connection:
            await connection.subscribe("mutation { slowly }")
            await until(lambda: served.toy.ran == ["begun"])
            await connection.send({"id": "1", "type": "complete"})
            connection.socket.transport.abort()
        await until(lambda: not served.sockets.connections)
        served.toy.release.set()
        await served.endpoint.engine.drain()
        assert served.toy.ran == ["begun", "done"]


async def test_a_thousand_abrupt_disconnects_leave_no_task() -> None:
    async with serving() as served:
        connections, operations = CONNECTIONS._value.get(), OPERATIONS._value.get()
        before = len(asyncio.all_tasks())
        for _ in range(5):
            async with AsyncExitStack() as stack:
                opening = [stack.enter_async_context(client(served)) for _ in range(200)]
                clients = await asyncio.gather(*opening)
                for connection in clients:
                    await connection.subscribe("subscription { wait }")
                await until(lambda: OPERATIONS._value.get() == operations + 200)
                served.toy.finally_ran.clear()
                for connection in clients:
                    connection.socket.transport.abort()
                await until(lambda: not served.sockets.connections)
        assert CONNECTIONS._value.get() == connections
        assert OPERATIONS._value.get() == operations
        assert served.toy.finally_ran.is_set()
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_client_that_does_not_read_pauses_its_generator() -> None:
    async with serving() as served, client(served, max_queue=1) as connection:
        await connection.subscribe("subscription { flood }")
        sent = -1
        while sent != served.toy.sent:  # until the server pauses
            sent = served.toy.sent
            await asyncio.sleep(0.2)
        assert 0 < sent < 2_000
        connection.socket.transport.abort()
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)


async def test_only_known_origins_may_connect() -> None:
    async with serving(origins=["https://app.example"]) as served:
        async with client(served, origin="https://app.example"), client(served):
            pass
        with pytest.raises(websockets.InvalidStatus) as error:
            async with client(served, origin="https://evil.example"):
                pass
        assert error.value.response.status_code == 403


async def test_a_server_that_stops_closes_every_socket_with_1012() -> None:
    async with (
        serving() as served,
        client(served) as connection,
        client(served, initialised=False) as pending,
    ):
        await connection.subscribe("subscription { wait }")
        await connection.receive()
        await served.sockets.close()
        assert await connection.closed() == (1012, "Service restart")
        assert await pending.closed() == (1012, "Service restart")
        assert served.toy.finally_ran.is_set()
        async with client(served, initialised=False) as late:
            assert (await late.closed())[0] == 1012


async def test_a_shutdown_of_uvicorn_closes_with_1012_and_leaves_no_socket() -> None:
    async with serving() as served, client(served) as connection:
        await connection.subscribe("subscription { wait }")
        await connection.receive()
        served.server.should_exit = True
        assert (await connection.closed())[0] == 1012
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)
        await until(lambda: not served.sockets.connections)
