"""The HTTP endpoint for gateways' calls; each reply has the form that the gateway expects."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from domain.gateways import Call
from resolvers import webhooks
from resolvers.context import Context
from schema.graphql.request_ids import request_id_of

MAX_BODY_BYTES = 64 * 1024


async def webhook(request: Request) -> Response:
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
    reply = await webhooks.receive(context, gateway, call)
    return Response(reply.body, reply.status, media_type=reply.content_type)
