"""The HTTP server accepts a storm of new connections within few turns of its loop."""

from __future__ import annotations

import asyncio
import socket
from contextlib import ExitStack

import uvloop

from mobinet.serve import ACCEPTED_A_TURN, listeners

STORM = 200


class Accepting(asyncio.Protocol):
    accepted = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Accepting.accepted += 1


async def turns_until_accepted() -> int:
    """Connect a storm of clients, and return how many turns the loop takes to accept all."""
    Accepting.accepted = 0
    loop = asyncio.get_running_loop()
    with ExitStack() as sockets:
        bound = sockets.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        servers = [
            await loop.create_server(Accepting, sock=each, backlog=STORM)
            for each in listeners(bound)
        ]
        for _ in range(STORM):
            sockets.enter_context(socket.create_connection(bound.getsockname()))
        turns = 0
        while Accepting.accepted < STORM:
            await asyncio.sleep(0)
            turns += 1
        for server in servers:
            server.close()
    return turns


def test_a_storm_is_accepted_in_few_turns() -> None:
    assert uvloop.run(turns_until_accepted()) < 3 * STORM / ACCEPTED_A_TURN
