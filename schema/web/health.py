"""Whether this process lives, whether it can serve, and what it counts."""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from db import clock
from db.migrate import pending
from resolvers import cases, invariants
from resolvers.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

PATIENCE_SECONDS = 3.0


async def healthz(_: Request) -> Response:
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """Ready when the database answers and is migrated. Redis is told, but nothing needs it."""
    context: Context = request.app.state.context
    checks: dict[str, str] = {}
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await clock.now()
            lacking = await pending()
        checks["database"] = "ok"
        checks["migrations"] = "ok" if not lacking else f"lacks {', '.join(lacking)}"
    except Exception as fault:
        checks["database"] = f"does not answer: {type(fault).__name__}"
    ready = all(state == "ok" for state in checks.values())
    checks["redis"] = "ok" if context.hub.connected else "lost: subscriptions read the database"
    return JSONResponse({"ready": ready, **checks}, 200 if ready else 503)


async def metrics(request: Request) -> Response:
    """What this process counts, and what waits for people; the latter as last known without a database."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await cases.measure(request.app.state.context)
            await invariants.measure()
    except Exception as fault:
        log.warning("not measured", why=type(fault).__name__)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
