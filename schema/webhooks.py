"""Gateways' calls over HTTP: raw bytes in, the gateway's own dialect out."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from domain.gateways import Call
from resolvers import webhooks
from resolvers.context import Context

LARGEST = 64 * 1024


async def webhook(request: Request) -> Response:
    base: Context = request.app.state.context
    context = base.asked_by(None, request_id=f"webhook-{base.ids.record('REQ')}")
    path: str = request.path_params["path"]
    gateway = context.gateways.by_path(path)
    if gateway is None:
        return PlainTextResponse("There is no such gateway.", 404)
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                return PlainTextResponse(f"The body exceeds {LARGEST} bytes.", 413)
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
