"""Limits on sockets close with codes after which clients reconnect."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack

import pytest
import structlog

from schema.graphql.websocket import SocketLimits
from tests.support.graphql_server import TEMPORARY_ERRORS, serving, until
from tests.support.socket_client import Client, client

pytestmark = pytest.mark.anyio

WAIT = "subscription { wait }"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


async def log_in(connection: Client, token: str) -> None:
    payload = {"authorization": f"Bearer {token}"}
    await connection.send({"type": "connection_init", "payload": payload})


async def test_a_user_with_too_many_sockets_gets_1013_before_the_ack() -> None:
    async with serving() as served, AsyncExitStack() as stack:
        for _ in range(20):
            await (await stack.enter_async_context(client(served, initialised=False))).initialise(
                "an"
            )
        async with client(served, initialised=False) as late:
            await log_in(late, "an")
            assert await late.closed() == (1013, "Too many connections")
        async with client(served, initialised=False) as other:
            await other.initialise("binh")
        assert served.sockets.actors == {"an": 20}
    await until(lambda: not served.sockets.connections)
    assert not served.sockets.actors


async def test_a_process_with_too_many_sockets_closes_with_1013() -> None:
    async with serving(socket_limits=SocketLimits(connections=2)) as served:
        async with client(served) as first, client(served) as second:
            async with client(served, initialised=False) as late:
                assert await late.closed() == (1013, "Try again later")
            for connection in (first, second):
                await connection.subscribe("{ hello }")
                await connection.receive()
        await until(lambda: not served.sockets.connections)
        async with client(served) as again:
            await again.subscribe("{ hello }")
            assert (await again.receive())["type"] == "next"


@pytest.mark.parametrize("language", ["vi", "en"])
async def test_an_operation_over_the_limit_fails_alone(language: str) -> None:
    headers = {"accept-language": language}
    limits = SocketLimits(operations_per_connection=2)
    async with (
        serving(socket_limits=limits) as served,
        client(served, additional_headers=headers) as connection,
    ):
        for id_ in ("1", "2"):
            await connection.subscribe(WAIT, id=id_)
            assert (await connection.receive())["type"] == "next"
        for _ in range(3):
            await connection.subscribe('mutation { add(what: "beyond") }', id="3")
            frame = await connection.receive()
            assert (frame["type"], frame["id"]) == ("error", "3")
            (error,) = frame["payload"]
            assert error["extensions"] == {"code": "RATE_LIMITED", "details": {"allowed": 2}}
            assert ("2 operations" in error["message"]) is (language == "en")
        assert served.toy.ran == []
        await connection.send({"id": "1", "type": "complete"})
        await asyncio.wait_for(served.toy.finally_ran.wait(), 20)
        await connection.subscribe("{ hello }", id="3")
        assert (await connection.receive())["payload"] == {"data": {"hello": "hello world"}}


async def test_a_repeated_id_is_4409_at_the_limit_too() -> None:
    limits = SocketLimits(operations_per_connection=1)
    async with serving(socket_limits=limits) as served, client(served) as connection:
        await connection.subscribe(WAIT)
        await connection.receive()
        await connection.subscribe(WAIT)
        assert (await connection.closed())[0] == 4409


@pytest.mark.parametrize("token", TEMPORARY_ERRORS)
async def test_a_temporary_login_error_is_1013(token: str) -> None:
    async with serving() as served, client(served, initialised=False) as connection:
        await log_in(connection, token)
        assert (await connection.closed())[0] == 1013
