"""The API's HTTP server: uvicorn, on sockets that accept many connections a turn of the loop."""

from __future__ import annotations

import contextlib
import socket
import sys

import uvicorn
from uvicorn.supervisors import Multiprocess

from mobinet.settings import Settings

# uvloop accepts one connection a listening socket and turn. Under load a turn takes some 10 ms, so
# that with one socket the kernel's queue would overflow, and phones would wait for TCP's repeats.
ACCEPTED_A_TURN = 32


def run(settings: Settings, workers: int) -> None:
    """Serve until the process is stopped. Exits with 1 if the address is taken."""
    config = uvicorn.Config(
        "mobinet.serve:create_app" if workers == 1 else "mobinet.cli:create_worker_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=workers,
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=256 * 1024,
        access_log=False,
        timeout_graceful_shutdown=25,
        # uvicorn's default of 5 s would kill a worker that still imports on a busy machine.
        timeout_worker_healthcheck=30,
    )
    sockets = listeners(config.bind_socket())
    if workers > 1:
        Multiprocess(config, sockets=sockets).run()
        return
    server = uvicorn.Server(config)
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets)
    if not server.started:
        sys.exit(1)


def listeners(bound: socket.socket) -> list[socket.socket]:
    """Return *bound* and copies of it: the loop accepts from each, and so from all, every turn."""
    return [bound, *(bound.dup() for _ in range(ACCEPTED_A_TURN - 1))]
