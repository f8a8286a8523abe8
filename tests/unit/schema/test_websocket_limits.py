"""Our own limits on sockets: all are temporary, so none ends a socket by a code that clients take for final."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
import structlog

from schema.graphql.websocket import Caps
from tests.support.graphql_server import TEMPORARY, serving, until
from tests.support.socket_client import Client, client

pytestmark = pytest.mark.anyio

WAIT = "subscription { wait }"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


async def init(speaker: Client, token: str) -> None:
    payload = {"authorization": f"Bearer {token}"}
    await speaker.say({"type": "connection_init", "payload": payload})


async def test_one_socket_too_many_of_a_user_is_1013_before_the_ack() -> None:
    async with serving() as served, AsyncExitStack() as stack:
        for _ in range(20):
            await (await stack.enter_async_context(client(served, greeted=False))).greet("an")
        async with client(served, greeted=False) as late:
            await init(late, "an")
            assert await late.closed() == (1013, "Too many connections")
        async with client(served, greeted=False) as other:
            await other.greet("binh")
        assert served.sockets.actors == {"an": 20}
    await until(lambda: not served.sockets.connections)
    assert not served.sockets.actors


async def test_one_socket_too_many_of_the_process_is_1013() -> None:
    async with serving(caps=Caps(connections=2)) as served:
        async with client(served) as first, client(served) as second:
            async with client(served, greeted=False) as late:
                assert await late.closed() == (1013, "Try again later")
            for speaker in (first, second):
                await speaker.ask("{ hello }")
                await speaker.record_vote()
        await until(lambda: not served.sockets.connections)
        async with client(served) as again:
            await again.ask("{ hello }")
            assert (await again.record_vote())["type"] == "next"


@pytest.mark.parametrize("language", ["vi", "en"])
async def test_one_operation_too_many_is_an_error_of_that_operation(language: str) -> None:
    headers = {"accept-language": language}
    caps = Caps(operations_per_connection=2)
    async with serving(caps=caps) as served, client(served, additional_headers=headers) as speaker:
        for id_ in ("1", "2"):
            await speaker.ask(WAIT, id=id_)
            assert (await speaker.record_vote())["type"] == "next"
        for _ in range(3):
            await speaker.ask('mutation { add(what: "beyond") }', id="3")
            answer = await speaker.record_vote()
            assert (answer["type"], answer["id"]) == ("error", "3")
            (error,) = answer["payload"]
            assert error["extensions"] == {"code": "RATE_LIMITED", "details": {"allowed": 2}}
            assert ("2 operations" in error["message"]) is (language == "en")
        assert served.toy.ran == []
        await speaker.say({"id": "1", "type": "complete"})
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)
        await speaker.ask("{ hello }", id="3")
        assert (await speaker.record_vote())["payload"] == {"data": {"hello": "hello world"}}


async def test_a_repeated_id_is_4409_at_the_limit_too() -> None:
    caps = Caps(operations_per_connection=1)
    async with serving(caps=caps) as served, client(served) as speaker:
        await speaker.ask(WAIT)
        await speaker.record_vote()
        await speaker.ask(WAIT)
        assert (await speaker.closed())[0] == 4409


@pytest.mark.parametrize("token", TEMPORARY)
async def test_a_login_that_fails_for_a_while_is_1013(token: str) -> None:
    async with serving() as served, client(served, greeted=False) as speaker:
        await init(speaker, token)
        assert (await speaker.closed())[0] == 1013
