"""The transport for rare calls and for absolute addresses: a client of httpx."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping

import httpx

from integrations.http.calls import Call, Progress, Timeouts
from integrations.http.failures import TransportError
from integrations.http.messages import Answer

# Shorter than servers keep idle connections, so that a charge does not meet a closing connection.
_IDLE_SECONDS = 4.0

# These libraries log whole addresses and headers at INFO.
for _library in ("httpx", "httpcore"):
    logging.getLogger(_library).setLevel(logging.WARNING)


class HttpxTransport:
    """Sends requests below an address, or to any address that a request's path names in full."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str], tls: ssl.SSLContext, timeouts: Timeouts
    ) -> None:
        # The bulkhead bounds the connections.
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=20, keepalive_expiry=_IDLE_SECONDS
        )
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            verify=tls,
            timeout=httpx.Timeout(timeouts.read, connect=timeouts.connect),
            limits=limits,
            trust_env=False,
        )

    async def exchange(self, call: Call) -> Answer:
        progress: Progress = call.progress

        async def trace(event: str, _: object) -> None:
            if event.endswith(".send_request_headers.started"):
                progress.sent = True

        try:
            response = await self._client.request(
                call.request.method,
                call.request.target,
                content=call.content,
                headers=call.headers,
                extensions={"trace": trace},
            )
        except httpx.HTTPError as error:
            raise TransportError(type(error).__name__) from error
        return Answer(response.status_code, response.content)

    async def aclose(self) -> None:
        await self._client.aclose()
