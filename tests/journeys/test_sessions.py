"""Logging in, refreshing tokens, and the end of a session."""

from __future__ import annotations

import asyncio
import json

import pytest
import websockets

from tests.support.stack.client import SUBPROTOCOL, Client, TopLevelErrors
from tests.support.stack.customers import new_staff_id
from tests.support.stack.processes import Process, Stack
from tests.support.stack.waiting import PATIENCE, eventually

pytestmark = pytest.mark.anyio


async def refused_codes(client: Client) -> list[str]:
    """Return the codes for which a request is refused, or nothing where it succeeds."""
    try:
        await client.execute("Me")
    except TopLevelErrors as error:
        return error.codes
    return []


async def test_a_wrong_password_is_refused_like_an_unknown_name(stack: Stack) -> None:
    async with Client(stack.url) as client:
        for name in ("NV001", "NOBODY"):
            payload = await client.execute("Login", input={"staffId": name, "password": "a guess"})
            assert payload["session"] is None
            assert [error["code"] for error in payload["errors"]] == ["INVALID_CREDENTIALS"]


async def test_a_missing_or_forged_token_is_refused(stack: Stack, collector: Client) -> None:
    assert await refused_codes(collector) == []
    head, body, signature = str(collector.token).split(".")
    other = "A" if signature[0] != "A" else "B"

    for token in (None, "nonsense", f"{head}.{body}.{other}{signature[1:]}", f"{head}.{body}."):
        async with Client(stack.url, token) as anonymous:
            assert await refused_codes(anonymous) == ["UNAUTHENTICATED"]


async def test_a_refresh_replaces_both_tokens_and_a_second_use_ends_the_session(
    collector: Client,
) -> None:
    old = collector.session["refreshToken"]

    renewed = (await collector.execute("RefreshSession", refreshToken=old))["session"]
    assert renewed["refreshToken"] != old
    collector.token = renewed["accessToken"]
    assert await refused_codes(collector) == []

    replayed = await collector.execute("RefreshSession", refreshToken=old)
    assert [error["code"] for error in replayed["errors"]] == ["INVALID_CREDENTIALS"]
    assert await refused_codes(collector) == ["UNAUTHENTICATED"]
    last = await collector.execute("RefreshSession", refreshToken=renewed["refreshToken"])
    assert last["session"] is None


async def test_a_logout_refuses_the_token_at_once(collector: Client) -> None:
    assert (await collector.execute("Logout"))["ok"] is True

    assert await refused_codes(collector) == ["UNAUTHENTICATED"]
    refresh = await collector.execute(
        "RefreshSession", refreshToken=collector.session["refreshToken"]
    )
    assert refresh["session"] is None


async def test_a_token_ends_at_its_time_and_its_socket_with_4401(
    short_lived_api: Process,
) -> None:
    async with Client(short_lived_api.url) as collector:
        await collector.log_in(new_staff_id())
        async with collector.socket() as socket:
            with pytest.raises(websockets.ConnectionClosed):
                async with asyncio.timeout(PATIENCE):
                    await socket.recv()
            assert socket.close_code == 4401

        assert await eventually(lambda: refused_codes(collector)) == ["UNAUTHENTICATED"]
        renewed = await collector.execute(
            "RefreshSession", refreshToken=collector.session["refreshToken"]
        )
        assert renewed["errors"] == []
        collector.token = renewed["session"]["accessToken"]
        assert await refused_codes(collector) == []


@pytest.mark.parametrize("payload", [{"authorization": "Bearer nonsense"}, {}])
async def test_a_socket_without_a_good_token_is_closed_with_4403(
    stack: Stack, payload: dict[str, str]
) -> None:
    address = f"{stack.url.replace('http', 'ws', 1)}/graphql"
    async with websockets.connect(address, subprotocols=[SUBPROTOCOL], proxy=None) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        with pytest.raises(websockets.ConnectionClosed):
            async with asyncio.timeout(PATIENCE):
                await socket.recv()
        assert socket.close_code == 4403
