"""`graphql-transport-ws`, spoken by a real client over a real socket, with the toy schema."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import structlog
import websockets

from schema.graphql.websocket import CONNECTIONS, OPERATIONS, Caps
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
    async with client(served) as one:
        await one.ask("subscription($to: Int!) { count(to: $to) }", variables={"to": 2})
        for number in range(2):
            payload = {"data": {"count": number}}
            assert await one.record_vote() == {"id": "1", "type": "next", "payload": payload}
        assert await one.record_vote() == {"id": "1", "type": "complete"}


async def test_each_event_has_a_context_of_its_own(served: Served) -> None:
    async with client(served) as one:
        await one.ask("subscription { nodes { stamp } }")
        stamps = [(await one.record_vote())["payload"]["data"]["nodes"]["stamp"] for _ in range(2)]
        assert stamps[0] < stamps[1]


async def test_queries_and_mutations_run_too_under_the_rules_of_http(served: Served) -> None:
    async with client(served) as one:
        await one.ask("query A { hello } query B { bug }", operationName="A")
        assert (await one.record_vote())["payload"] == {"data": {"hello": "hello world"}}
        assert (await one.record_vote())["type"] == "complete"
        await one.ask('mutation { add(what: "ws") }')
        assert (await one.record_vote())["payload"] == {"data": {"add": "ws"}}
        assert (await one.record_vote())["type"] == "complete"
        for refused, code in (
            ('mutation { a: add(what: "no") b: add(what: "no") }', "BAD_USER_INPUT"),
            ('mutation A { add(what: "no") } mutation B { add(what: "no") }', "BAD_USER_INPUT"),
            ("{ nodes { children(first: 10000) { id } } }", "QUERY_TOO_EXPENSIVE"),
            ("{", "BAD_USER_INPUT"),
            ("{ nothing }", "BAD_USER_INPUT"),
            ("query($n: String!) { hello(name: $n) }", "BAD_USER_INPUT"),
            ("subscription($n: Int!) { count(to: $n) }", "BAD_USER_INPUT"),
        ):
            await one.ask(refused)
            answer = await one.record_vote()
            assert (answer["type"], answer["id"]) == ("error", "1")
            assert answer["payload"][0]["extensions"]["code"] == code
        assert "no" not in served.toy.ran


async def test_an_error_while_resolving_is_a_next_with_errors(served: Served) -> None:
    async with client(served) as one:
        await one.ask("{ bug }")
        payload = (await one.record_vote())["payload"]
        assert payload["data"] == {"bug": None}
        assert payload["errors"][0]["extensions"]["code"] == "INTERNAL"


async def test_a_subscription_that_is_refused_is_an_error(served: Served) -> None:
    async with client(served, additional_headers={"accept-language": "en"}) as one:
        await one.ask("subscription { missing }")
        answer = await one.record_vote()
        assert answer["type"] == "error"
        assert answer["payload"][0]["message"] == "Not there."
        assert answer["payload"][0]["extensions"]["code"] == "NOT_FOUND"
        await one.ask("subscription { bug }")  # the id is free again
        assert (await one.record_vote())["type"] == "next"
        answer = await one.record_vote()
        assert answer["type"] == "error"
        assert answer["payload"][0]["extensions"]["code"] == "INTERNAL"
        assert "1234" not in json.dumps(answer)


async def test_ping_is_answered_before_and_after_the_greeting(served: Served) -> None:
    async with client(served, greeted=False) as one:
        await one.say({"type": "ping", "payload": {"at": 1}})
        assert await one.record_vote() == {"type": "pong"}
        await one.greet()
        await one.say({"type": "pong"})
        await one.say({"type": "ping"})
        assert await one.record_vote() == {"type": "pong"}


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
    greeting_itself = isinstance(frame, dict) and frame.get("type") == "connection_init"
    async with client(served, greeted=not greeting_itself) as one:
        await one.say(frame)
        assert (await one.closed())[0] == 4400


async def test_a_frame_over_the_cap_is_1009(served: Served) -> None:
    async with client(served) as one:
        await one.ask("{ hello }", variables={"x": "x" * 256 * 1024})
        assert (await one.closed())[0] == 1009


@pytest.mark.parametrize("protocols", [None, ["graphql-ws"]])
async def test_another_subprotocol_is_4406(served: Served, protocols: list[Any] | None) -> None:
    async with client(served, greeted=False, subprotocols=protocols) as one:
        assert await one.closed() == (4406, "Subprotocol not acceptable")


async def test_operations_before_the_greeting_are_4401(served: Served) -> None:
    async with client(served, greeted=False) as one:
        await one.ask("{ hello }")
        assert await one.closed() == (4401, "Unauthorized")


async def test_a_second_greeting_is_4429(served: Served) -> None:
    async with client(served) as one:
        await one.say({"type": "connection_init"})
        assert await one.closed() == (4429, "Too many initialisation requests")


@pytest.mark.parametrize(("token", "code"), [("bad", 4403), ("crash", 4500)])
async def test_a_login_that_fails_is_4403_and_our_own_fault_4500(
    served: Served, token: str, code: int
) -> None:
    async with client(served, greeted=False) as one:
        payload = {"authorization": f"Bearer {token}"}
        await one.say({"type": "connection_init", "payload": payload})
        assert (await one.closed())[0] == code


async def test_an_id_in_use_is_4409_with_a_reason_that_fits(served: Served) -> None:
    async with client(served) as one:
        await one.ask("subscription { wait }", id="ệ" * 100)
        await one.record_vote()
        await one.ask("{ hello }", id="ệ" * 100)
        code, reason = await one.closed()
        assert code == 4409
        assert reason.startswith("Subscriber for ệệ")
        assert len(reason.encode()) <= 123


async def test_no_greeting_in_time_is_4408() -> None:
    async with serving(caps=Caps(init_seconds=0.5)) as served:
        async with client(served, greeted=False) as one:
            assert await one.closed() == (4408, "Connection initialisation timeout")
        async with client(served) as other:  # who has greeted stays
            await asyncio.sleep(0.6)
            await other.say({"type": "ping"})
            assert await other.record_vote() == {"type": "pong"}


async def test_the_socket_ends_with_its_token() -> None:
    async with serving() as served, client(served, greeted=False) as one:
        await one.greet("soon")
        await one.ask("subscription { wait }")
        await one.record_vote()
        assert await one.closed() == (4401, "Token expired")
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)


async def test_complete_from_the_client_cancels_and_frees_the_id() -> None:
    async with serving() as served, client(served) as one:
        await one.ask("subscription { wait }")
        await one.record_vote()
        await one.say({"id": "1", "type": "complete"})
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)
        await one.say({"id": "unknown", "type": "complete"})
        await one.ask("{ hello }")
        assert (await one.record_vote())["payload"] == {"data": {"hello": "hello world"}}


async def test_a_mutation_is_finished_when_its_socket_has_gone() -> None:
    async with serving() as served:
        async with client(served) as one:
            await one.ask("mutation { slowly }")
            await until(lambda: served.toy.ran == ["begun"])
            await one.say({"id": "1", "type": "complete"})
            one.socket.transport.abort()
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
                some = [stack.enter_async_context(client(served)) for _ in range(200)]
                clients = await asyncio.gather(*some)
                for item in clients:
                    await item.ask("subscription { wait }")
                await until(lambda: OPERATIONS._value.get() == operations + 200)
                served.toy.finally_ran.clear()
                for item in clients:
                    item.socket.transport.abort()
                await until(lambda: not served.sockets.connections)
        assert CONNECTIONS._value.get() == connections
        assert OPERATIONS._value.get() == operations
        assert served.toy.finally_ran.is_set()
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_a_client_that_does_not_read_pauses_its_generator() -> None:
    async with serving() as served, client(served, max_queue=1) as one:
        await one.ask("subscription { flood }")
        await until(lambda: served.toy.sent > 0)
        sent = -1
        while sent != served.toy.sent:  # until it stands still
            sent = served.toy.sent
            await asyncio.sleep(0.2)
        assert 0 < sent < 2_000
        one.socket.transport.abort()
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)


async def test_only_known_pages_may_connect() -> None:
    async with serving(origins=["https://app.example"]) as served:
        async with client(served, origin="https://app.example"), client(served):
            pass
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with client(served, origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403


async def test_a_server_that_stops_says_so_to_every_client() -> None:
    async with serving() as served, client(served) as one, client(served, greeted=False) as two:
        await one.ask("subscription { wait }")
        await one.record_vote()
        await served.sockets.close()
        assert await one.closed() == (1012, "Service restart")
        assert await two.closed() == (1012, "Service restart")
        assert served.toy.finally_ran.is_set()
        async with client(served, greeted=False) as late:
            assert (await late.closed())[0] == 1012


async def test_uvicorns_own_shutdown_is_1012_and_leaves_no_socket() -> None:
    async with serving() as served, client(served) as one:
        await one.ask("subscription { wait }")
        await one.record_vote()
        served.server.should_exit = True
        assert (await one.closed())[0] == 1012
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)
        await until(lambda: not served.sockets.connections)
