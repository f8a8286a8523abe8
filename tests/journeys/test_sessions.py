"""Logging in, staying in, and being out."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets

from tests.support.stack.client import SUBPROTOCOL, Client, Refused
from tests.support.stack.customers import COLLECTORS
from tests.support.stack.outside import PATIENCE, eventually
from tests.support.stack.processes import Process, Stack

pytestmark = pytest.mark.anyio


async def refused_codes(client: Client) -> list[str]:
    try:
        await client.ask("Me")
    except Refused as refused:
        return refused.codes
    return []


async def test_a_wrong_password_is_refused_like_an_unknown_name(stack: Stack) -> None:
    async with Client(stack.url) as client:
        for name in ("NV001", "NOBODY"):
            told = await client.ask("Login", input={"staffId": name, "password": "a guess"})
            assert told["session"] is None
            assert [error["code"] for error in told["errors"]] == ["INVALID_CREDENTIALS"]


async def test_nobody_gets_in_without_a_token_or_with_a_forged_one(
    stack: Stack, collector: Client
) -> None:
    assert await refused_codes(collector) == []
    head, body, signature = str(collector.token).split(".")
    other = "A" if signature[0] != "A" else "B"

    for token in (None, "nonsense", f"{head}.{body}.{other}{signature[1:]}", f"{head}.{body}."):
        async with Client(stack.url, token) as stranger:
            assert await refused_codes(stranger) == ["UNAUTHENTICATED"]


async def test_a_refresh_replaces_both_tokens_and_a_second_use_ends_the_session(
    collector: Client,
) -> None:
    old = collector.session["refreshToken"]

    renewed = (await collector.ask("RefreshSession", refreshToken=old))["session"]
    assert renewed["refreshToken"] != old
    collector.token = renewed["accessToken"]
    assert await refused_codes(collector) == []

    stolen = await collector.ask("RefreshSession", refreshToken=old)
    assert [error["code"] for error in stolen["errors"]] == ["INVALID_CREDENTIALS"]
    assert await refused_codes(collector) == ["UNAUTHENTICATED"]
    last = await collector.ask("RefreshSession", refreshToken=renewed["refreshToken"])
    assert last["session"] is None


async def test_a_logout_refuses_the_token_at_once(collector: Client) -> None:
    assert (await collector.ask("Logout"))["ok"] is True

    assert await refused_codes(collector) == ["UNAUTHENTICATED"]
    refresh = await collector.ask("RefreshSession", refreshToken=collector.session["refreshToken"])
    assert refresh["session"] is None


async def test_a_token_ends_at_its_time_and_its_socket_with_4401(
    hasty: Process,
) -> None:
    async with Client(hasty.url) as collector:
        await collector.log_in(f"NV{next(COLLECTORS)}")
        async with collector.socket() as socket:
            with pytest.raises(websockets.ConnectionClosed):
                async with asyncio.timeout(PATIENCE):
                    await socket.recv()
            assert socket.close_code == 4401

        assert await eventually(lambda: refused_codes(collector)) == ["UNAUTHENTICATED"]
        renewed = await collector.ask(
            "RefreshSession", refreshToken=collector.session["refreshToken"]
        )
        assert renewed["errors"] == []
        collector.token = renewed["session"]["accessToken"]
        assert await refused_codes(collector) == []


@pytest.mark.parametrize("hello", [{"authorization": "Bearer nonsense"}, {}])
async def test_a_socket_without_a_good_token_is_closed_with_4403(
    stack: Stack, hello: dict[str, str]
) -> None:
    address = f"{stack.url.replace('http', 'ws', 1)}/graphql"
    async with websockets.connect(address, subprotocols=[SUBPROTOCOL], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": hello}))
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                await socket.recv()
        assert socket.close_code == 4403
