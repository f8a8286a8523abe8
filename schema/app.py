"""The ASGI application, put together: what answers where, and what lives as long as the process."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route, WebSocketRoute

from db.engine import LOST_CONNECTION
from resolvers import invariants, payment_watch
from resolvers.context import Context
from schema.common import format_error
from schema.graphql.http import GraphQLEndpoint
from schema.graphql.websocket import GraphQLSockets
from schema.root import schema
from schema.web import identity, oauth
from schema.web.health import healthz, metrics, readyz
from schema.web.receipts import receipt
from schema.web.rest import nothing_here, pay_order
from schema.webhooks import webhook

FIRST_CHECK_SECONDS = 10.0  # a start waits so long for it; it goes on meanwhile


def create_app(
    opened: Callable[[], AbstractAsyncContextManager[Context]],
    *,
    public_url: str,
    development: bool,
) -> Starlette:
    """
    Return the application; *opened* holds the process's resources for as long as it serves.

    Only in development are introspection, GraphiQL and sockets of any origin allowed.
    """
    http: GraphQLEndpoint[Context] = GraphQLEndpoint(
        schema,
        identity.http_context,
        introspection=development,
        graphiql=development,
        format_error=format_error,
    )
    sockets: GraphQLSockets[Context] = GraphQLSockets(
        http.engine,
        identity.socket_context,
        origins=None if development else {_origin(public_url)},
        fresh=identity.fresh,
        admit=identity.admit,
        passing=LOST_CONNECTION,
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        async with opened() as context:
            app.state.context = context
            first = asyncio.create_task(invariants.check_first(context))
            await asyncio.wait([first], timeout=FIRST_CHECK_SECONDS)
            beside = [
                first,
                asyncio.create_task(payment_watch.sweep(context)),
                asyncio.create_task(payment_watch.inquire(context)),
            ]
            gc.freeze()  # what was made at start is never garbage: the collector need not look
            yield
            await sockets.close()
            await http.engine.drain()
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)

    return Starlette(
        lifespan=lifespan,
        exception_handlers={HTTPException: nothing_here},
        routes=[
            Route("/graphql", http),
            WebSocketRoute("/graphql", sockets),
            Route("/oauth/token", oauth.token, methods=["POST"]),
            Route("/.well-known/jwks.json", identity.jwks),
            Route("/webhooks/{path:path}", webhook, methods=["GET", "POST"]),
            Route("/payments", pay_order, methods=["POST"]),
            Route("/pay/{token}", receipt),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
