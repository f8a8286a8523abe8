"""The ASGI application: its routes, and the tasks that run as long as the process."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from db.engine import LOST_CONNECTION
from resolvers import invariants, payment_watch, sessions
from resolvers.context import Context
from schema.common import format_error
from schema.graphql.http import GraphQLEndpoint
from schema.graphql.request_ids import RequestIds
from schema.graphql.websocket import GraphQLSockets
from schema.root import schema
from schema.web import identity, oauth
from schema.web.health import healthz, metrics, readyz
from schema.web.lanes import Lanes
from schema.web.receipts import receipt_page
from schema.web.rest import admitted, http_error, pay_order, rest
from schema.web.webhooks import webhook

FIRST_CHECK_SECONDS = 10.0  # a start waits this long for the first invariant check


def create_app(
    open_context: Callable[[], AbstractAsyncContextManager[Context]],
    *,
    public_url: str,
    development: bool,
) -> Starlette:
    """
    Return the application; *open_context* opens the process's resources while it serves.

    Introspection, GraphiQL and sockets from any origin are allowed in development only.
    """
    lanes = Lanes()
    http: GraphQLEndpoint[Context] = GraphQLEndpoint(
        schema,
        identity.http_context,
        introspection=development,
        graphiql=development,
        format_error=format_error,
        lane_of=lanes.of,
    )

    async def log_in(websocket: WebSocket, payload: dict[str, Any]) -> Context:
        async with lanes.logins.place():
            return await identity.socket_context(websocket, payload)

    sockets: GraphQLSockets[Context] = GraphQLSockets(
        http.engine,
        log_in,
        origins=None if development else {_origin(public_url)},
        renew=identity.renew,
        session_is_open=sessions.is_open,
        temporary_errors=LOST_CONNECTION,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with open_context() as context, _background_tasks(context):
            app.state.context, app.state.lanes = context, lanes
            _relieve_garbage_collector()
            yield
            await sockets.close()
            await http.engine.drain()

    return Starlette(
        lifespan=lifespan,
        middleware=[Middleware(RequestIds)],
        exception_handlers={HTTPException: http_error},
        routes=[
            Route("/graphql", http),
            WebSocketRoute("/graphql", sockets),
            Route("/oauth/token", oauth.endpoint(lanes.urgent), methods=["POST"]),
            Route("/.well-known/jwks.json", identity.jwks),
            Route("/webhooks/{path:path}", webhook(lanes.webhooks), methods=["GET", "POST"]),
            Route("/payments", rest(pay_order, lanes.writes), methods=["POST"]),
            Route("/pay/{token}", admitted(receipt_page, lanes.reads)),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
    )


@asynccontextmanager
async def _background_tasks(context: Context) -> AsyncGenerator[None]:
    """Run the tasks of an API process; a start waits a while for the first invariant check."""
    first_check = asyncio.create_task(invariants.check_first(context))
    await asyncio.wait([first_check], timeout=FIRST_CHECK_SECONDS)
    tasks = [
        first_check,
        asyncio.create_task(payment_watch.sweep(context)),
        asyncio.create_task(payment_watch.inquire(context)),
        asyncio.create_task(context.open_sessions.watch(context.clock)),
        asyncio.create_task(context.display_cache.follow(context.hub)),
    ]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def _relieve_garbage_collector() -> None:
    """
    Collect rarely, and never what lives as long as the process.

    Nearly all objects of a request die by their reference counts. With Python's thresholds a storm
    of a thousand requests would be searched for cycles again and again, a third of the CPU.
    """
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
