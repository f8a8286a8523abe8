"""How npm's `graphql-ws`, the client of our apps, reacts to each close code."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from schema.graphql.websocket import SocketLimits
from tests.support.graphql_server import Served, serving, until
from tests.support.socket_client import client

FOLDER = Path(__file__).parents[2] / "peers" / "graphql-ws"
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(
        not (FOLDER / "node_modules" / "graphql-ws").is_dir() or shutil.which("node") is None,
        reason="npm's graphql-ws is not installed: `make peers` installs it, with node and npm",
    ),
]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


class Peer:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    def command(self, do: str, **arguments: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{json.dumps({'do': do} | arguments)}\n".encode())

    async def event(self) -> dict[str, Any]:
        assert self.process.stdout
        async with asyncio.timeout(20):
            return json.loads(await self.process.stdout.readline())


@asynccontextmanager
async def peer(served: Served, token: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        "node",
        "peer.js",
        served.ws,
        token,
        cwd=FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Peer(process)
    finally:
        assert process.stdin
        process.stdin.close()
        await process.wait()


async def test_a_user_at_the_limit_reconnects_once_a_socket_is_free() -> None:
    async with serving() as served, AsyncExitStack() as stack:
        for _ in range(19):
            await (await stack.enter_async_context(client(served, initialised=False))).initialise(
                "an"
            )
        async with client(served, initialised=False) as last:
            await last.initialise("an")
            app = await stack.enter_async_context(peer(served, "an"))
            app.command("subscribe", name="feed", query="subscription { count(to: 1) }")
            for attempt in range(3):
                if attempt:
                    app.command("retry")
                closed = await app.event()
                assert closed == {
                    "event": "closed",
                    "code": 1013,
                    "reason": "Too many connections",
                }
                assert await app.event() == {"event": "waiting"}
        await until(lambda: served.sockets.actors["an"] == 19)
        app.command("retry")
        assert await app.event() == {"event": "connected"}
        payload = {"data": {"count": 0}}
        assert await app.event() == {"event": "next", "name": "feed", "payload": payload}
        assert await app.event() == {"event": "complete", "name": "feed"}


@pytest.mark.parametrize("token", ["rate", "upstream", "refused", "bad"])
async def test_after_a_failed_login_the_client_tries_again(token: str) -> None:
    async with serving() as served, peer(served, token) as app:
        app.command("subscribe", name="feed", query="{ hello }")
        assert (await app.event())["event"] == "closed"
        assert await app.event() == {"event": "waiting"}


async def test_after_a_fault_the_client_gives_up() -> None:
    """So the client does distinguish final codes from temporary ones."""
    async with serving() as served, peer(served, "crash") as app:
        app.command("subscribe", name="feed", query="{ hello }")
        assert (await app.event())["code"] == 4500
        assert await app.event() == {"event": "error", "name": "feed", "code": 4500}


async def test_an_operation_over_the_limit_fails_and_the_socket_stays() -> None:
    limits = SocketLimits(operations_per_connection=1)
    async with serving(socket_limits=limits) as served, peer(served, "an") as app:
        app.command("subscribe", name="first", query="subscription { wait }")
        assert await app.event() == {"event": "connected"}
        assert (await app.event())["payload"] == {"data": {"wait": 0}}
        app.command("subscribe", name="second", query="{ hello }")
        failed = await app.event()
        assert (failed["event"], failed["name"]) == ("error", "second")
        assert failed["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        served.toy.release.set()
        assert (await app.event())["payload"] == {"data": {"wait": 1}}
        assert await app.event() == {"event": "complete", "name": "first"}


async def test_after_a_restart_the_client_reconnects() -> None:
    async with serving() as served, peer(served, "an") as app:
        app.command("subscribe", name="feed", query="subscription { wait }")
        assert await app.event() == {"event": "connected"}
        assert (await app.event())["payload"] == {"data": {"wait": 0}}
        await served.sockets.close()
        assert (await app.event())["code"] == 1012
        assert await app.event() == {"event": "waiting"}
