"""How PayPal knows us: a token that is fetched with our secret, and kept for as long as it is good."""

from __future__ import annotations

import asyncio
import base64
import time

from pydantic import Field

from integrations.http.client import NotSent, Stopped, Unanswered, Upstream
from integrations.http.parsing import Rejected, Text, Wire, expect

_EARLY = 60.0  # seconds before its end that a token is replaced


class _Token(Wire):
    access_token: Text
    expires_in: int = Field(gt=0)


class Access:
    def __init__(self, http: Upstream, *, client_id: str, client_secret: str) -> None:
        self._http = http
        pair = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._basic = f"Basic {pair}"
        self._bearer = ""
        self._good_until = 0.0
        self._fetching = asyncio.Lock()

    async def __call__(self) -> str:
        """Return the header that says who we are. Raises NotSent: without it nothing has been asked."""
        async with self._fetching:
            if time.monotonic() >= self._good_until:
                await self._fetch()
        return self._bearer

    def forget(self) -> None:
        """Fetch another one next time: this one was refused."""
        self._good_until = 0.0

    async def _fetch(self) -> None:
        began = time.monotonic()
        try:
            token = await self._http.call(
                "token",
                "POST",
                "/v1/oauth2/token",
                form={"grant_type": "client_credentials"},
                headers={"Authorization": self._basic},
                read=lambda answer: expect(_Token, answer),
                repeatable=True,
                subject=None,  # whoever asks, it is the same question
            )
        except Stopped:
            raise
        except (NotSent, Unanswered, Rejected) as error:
            raise NotSent("paypal", "token", type(error).__name__) from error
        self._bearer = f"Bearer {token.access_token}"
        self._good_until = began + token.expires_in - _EARLY
