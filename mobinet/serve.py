"""An API process: its ASGI application, and the HTTP server that accepts its connections."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from domain.staff import Role
from integrations.embedded import die_with_parent
from mobinet import logging
from mobinet.bootstrap import process_context
from mobinet.settings import Settings, load
from resolvers import sessions
from resolvers.context import Context
from schema import app

SANDBOX_CLIENTS = (
    ("dashboard", "Dashboard", Role.SERVICE, "dashboard-secret"),
    ("shop", "Cửa hàng mẫu", Role.MERCHANT, "shop-secret"),
)

# uvloop accepts one connection a listening socket and turn. Under load a turn takes some 10 ms, so
# that with one socket the kernel's queue would overflow, and phones would wait for TCP's repeats.
ACCEPTED_A_TURN = 32


def run(settings: Settings, workers: int) -> None:
    """Serve until the process is stopped. Exits with 1 if the address is taken."""
    config = uvicorn.Config(
        "mobinet.serve:create_app" if workers == 1 else "mobinet.serve:create_worker_app",
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
    with suppress(KeyboardInterrupt):
        server.run(sockets)
    if not server.started:
        sys.exit(1)


def listeners(bound: socket.socket) -> list[socket.socket]:
    """Return *bound* and copies of it: the loop accepts from each, and so from all, every turn."""
    return [bound, *(bound.dup() for _ in range(ACCEPTED_A_TURN - 1))]


def create_app(settings: Settings | None = None) -> Starlette:
    settings = settings or load()

    @asynccontextmanager
    async def open_context() -> AsyncGenerator[Context]:
        logging.configure(settings.env)
        async with process_context(settings) as context:
            await _set_up_sandbox_clients(context, development=settings.env == "development")
            yield context

    return app.create_app(
        open_context, public_url=settings.public_url, development=settings.env == "development"
    )


def create_worker_app() -> Starlette:
    """Return the app of one of uvicorn's processes, which must not outlive a killed parent."""
    die_with_parent(signal.SIGTERM)
    return create_app()


async def _set_up_sandbox_clients(context: Context, *, development: bool) -> None:
    """Register the sandbox's API clients in development; revoke their public secrets elsewhere."""
    for client_id, name, role, secret in SANDBOX_CLIENTS:
        if development:
            await sessions.register_api_client(
                context, client_id=client_id, name=name, role=role, secret=secret
            )
        else:
            await sessions.revoke_known_secret(context, client_id=client_id, secret=secret)
