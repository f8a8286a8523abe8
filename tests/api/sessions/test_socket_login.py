"""Authentication of a socket of the real API, and its failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import asyncpg
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.races.row_lock import WAITING_SESSIONS
from tests.support.running_api import Api

pytest_plugins = ["tests.support.running_api"]

TERMINATE = WAITING_SESSIONS.replace("count(*)", "count(pg_terminate_backend(pid))")


@contextmanager
def opened(api: Api, payload: Any) -> Iterator[ClientConnection]:
    protocols: list[Any] = ["graphql-transport-ws"]
    with connect(f"{api.url.replace('http', 'ws')}/graphql", subprotocols=protocols) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        yield socket


def closed(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed):
        socket.recv(timeout=10)
    assert socket.close_code is not None
    return socket.close_code


@pytest.mark.parametrize("name", ["authorization", "Authorization", "AUTHORIZATION"])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_the_token_is_found_under_its_name_in_any_letter_case(
    api: Api, name: str, scheme: str
) -> None:
    with opened(api, {name: f"{scheme} {api.token('NV001')}"}) as socket:
        assert json.loads(socket.recv(timeout=10)) == {"type": "connection_ack"}


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_name_beside_the_token_counts_as_absent(api: Api, empty: str | None) -> None:
    payload = {"authorization": empty, "Authorization": f"Bearer {api.token('NV001')}"}
    with opened(api, payload) as socket:
        assert json.loads(socket.recv(timeout=10)) == {"type": "connection_ack"}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "",
        " ",
        {},
        {"Authorization": ""},
        {"Authorization": None},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": ["Bearer"]},
        {"token": "Bearer nonsense"},
    ],
    ids=str,
)
def test_a_socket_without_a_token_is_4403(api: Api, payload: Any) -> None:
    with opened(api, payload) as socket:
        assert closed(socket) == 4403


def test_a_database_connection_that_is_lost_meanwhile_is_1013(api: Api) -> None:
    """After 4500 a client would not reconnect, even once the database is back."""
    # The process does not know this session yet, so that it reads it.
    payload = {"authorization": f"Bearer {api.login(api.collector())['accessToken']}"}

    def login() -> int:
        with opened(api, payload) as socket:
            return closed(socket)

    async def login_that_loses_its_connection() -> int:
        owner = await asyncpg.connect(api.database)
        try:
            async with owner.transaction():
                await owner.execute("lock table session in access exclusive mode")
                code = asyncio.create_task(asyncio.to_thread(login))
                async with asyncio.timeout(10):
                    while not code.done():  # another statement may wait for the table too
                        await owner.fetchval(TERMINATE)
                        await asyncio.sleep(0.01)
                return await code
        finally:
            await owner.close()

    assert asyncio.run(login_that_loses_its_connection()) == 1013
    with opened(api, payload) as again:
        assert json.loads(again.recv(timeout=10)) == {"type": "connection_ack"}
