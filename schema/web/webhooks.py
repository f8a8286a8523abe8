"""The HTTP endpoint for gateways' calls; each reply has the form that the gateway expects."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from domain.gateways import Call
from domain.verdicts import Verdict
from resolvers import webhooks
from resolvers.context import Context
from schema.graphql.admission import Lane, Overloaded
from schema.graphql.request_ids import request_id_of

MAX_BODY_BYTES = 64 * 1024


def webhook(lane: Lane) -> Callable[[Request], Awaitable[Response]]:
    """Make the endpoint, whose calls wait in *lane*."""

    async def endpoint(request: Request) -> Response:
        return await _answer(request, lane)

    return endpoint


async def _answer(request: Request, lane: Lane) -> Response:
    process_context: Context = request.app.state.context
    context = process_context.for_actor(None, request_id=request_id_of(request.scope))
    path: str = request.path_params["path"].removesuffix("/")
    gateway = context.gateways.by_path(path)
    if gateway is None:
        return PlainTextResponse("There is no such gateway.", 404)
    if request.method not in gateway.methods:
        allowed = ", ".join(sorted(gateway.methods))
        return PlainTextResponse(f"It calls by {allowed}.", 405, {"allow": allowed})
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                return PlainTextResponse(f"The body exceeds {MAX_BODY_BYTES} bytes.", 413)
    except ClientDisconnect:
        return Response(status_code=400)
    call = Call(
        method=request.method,
        query=request.url.query,
        headers=dict(request.headers),
        body=bytes(body),
        received_at=await context.clock(),
        path=path,
    )
    try:
        async with lane.place():
            reply, headers = await webhooks.receive(context, gateway, call), None
    except Overloaded as error:  # the gateway repeats the call
        reply, headers = gateway.answer(Verdict.OUR_ERROR), {"retry-after": error.retry_after}
    return Response(reply.body, reply.status, headers, media_type=reply.content_type)
