"""The ASGI application of one API process, with its settings and resources."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from domain.staff import Role
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


async def _set_up_sandbox_clients(context: Context, *, development: bool) -> None:
    """Register the sandbox's API clients in development; revoke their public secrets elsewhere."""
    for client_id, name, role, secret in SANDBOX_CLIENTS:
        if development:
            await sessions.register_api_client(
                context, client_id=client_id, name=name, role=role, secret=secret
            )
        else:
            await sessions.revoke_known_secret(context, client_id=client_id, secret=secret)
