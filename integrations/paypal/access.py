"""PayPal's access token: fetched with our secret, and reused until it expires."""

from __future__ import annotations

import asyncio
import base64
import time

from pydantic import Field

from integrations.http.client import Upstream
from integrations.http.failures import BreakerOpen, NotConnected, Unanswered
from integrations.http.messages import Request
from integrations.http.parsing import Rejected, Text, WireModel, parse_success

_RENEWAL_SECONDS = 60.0  # before its end that a token is replaced


class _Token(WireModel):
    access_token: Text
    expires_in: int = Field(gt=0)


class Access:
    def __init__(self, http: Upstream, *, client_id: str, client_secret: str) -> None:
        self._http = http
        pair = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._basic = f"Basic {pair}"
        self._bearer = ""
        self._valid_until = 0.0
        self._fetching = asyncio.Lock()

    async def __call__(self) -> str:
        """Return the Authorization header. Raises NotConnected: without a token nothing is sent."""
        async with self._fetching:
            if time.monotonic() >= self._valid_until:
                await self._fetch()
        return self._bearer

    def forget(self) -> None:
        """Discard a token that PayPal refused, so that the next call fetches another."""
        self._valid_until = 0.0

    async def _fetch(self) -> None:
        started_at = time.monotonic()
        request = Request(
            operation="token",
            method="POST",
            path="/v1/oauth2/token",
            form={"grant_type": "client_credentials"},
            headers={"Authorization": self._basic},
            subject=None,  # all these calls are the same
            repeatable=True,
        )
        try:
            token = await self._http.call(request, lambda answer: parse_success(_Token, answer))
        except BreakerOpen:
            raise
        except (NotConnected, Unanswered, Rejected) as error:
            raise NotConnected("paypal", "token", type(error).__name__) from error
        self._bearer = f"Bearer {token.access_token}"
        self._valid_until = started_at + token.expires_in - _RENEWAL_SECONDS
