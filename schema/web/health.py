"""Liveness, readiness and metrics of this process."""

from __future__ import annotations

import asyncio

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from db.migrate import pending
from resolvers import cases, invariants
from resolvers.context import Context

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

TIMEOUT_SECONDS = 3.0


async def healthz(_: Request) -> Response:
    return PlainTextResponse("ok")


async def readyz(request: Request) -> Response:
    """Report readiness: the database answers and is migrated. Redis is shown, but not needed."""
    context: Context = request.app.state.context
    checks: dict[str, str] = {}
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await context.clock()
            missing = await pending()
        checks["database"] = "ok"
        checks["migrations"] = "ok" if not missing else f"lacks {', '.join(missing)}"
    except Exception as error:
        checks["database"] = f"does not answer: {type(error).__name__}"
    ready = all(state == "ok" for state in checks.values())
    checks["redis"] = "ok" if context.hub.connected else "lost: subscriptions read the database"
    return JSONResponse({"ready": ready, **checks}, 200 if ready else 503)


async def metrics(request: Request) -> Response:
    """
    Serve this process's metrics, with the open cases and violated invariants of the database.

    Without a database these two keep their last values.
    """
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await cases.measure(request.app.state.context)
            await invariants.measure()
    except Exception as error:
        log.warning("metrics_outdated", reason=type(error).__name__)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
