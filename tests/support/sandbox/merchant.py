"""A sandbox on a port of its own, a merchant that receives webhooks, and clients of its systems."""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.settings import Settings

# VNPay's five minutes last 0.2 seconds.
TIME_SCALE = 1500
KEYS = {
    name: f"sandbox-{name}-key" for name in ("revenue", "customer", "staff", "debt", "hifpt", "sms")
}


class Served:
    """An application on uvicorn, in a thread, on a free port."""

    def __init__(self, app: Any) -> None:
        # Without the protocol's name asyncio leaves Nagle's algorithm on: 40 ms per answer.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), daemon=True
        )
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive(), "the server did not start"
            threading.Event().wait(0.005)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


@dataclass
class Call:
    """A webhook as the merchant received it."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass
class Merchant:
    """Receives and stores every webhook, and answers as the test sets it."""

    answer: Callable[[Call], Response | Awaitable[Response]]
    calls: list[Call] = field(default_factory=list)
    url: str = ""
    _changed: threading.Condition = field(default_factory=threading.Condition)

    async def take(self, request: Request) -> Response:
        call = Call(
            request.method,
            request.url.path,
            dict(request.query_params),
            dict(request.headers),
            await request.body(),
        )
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()
        answer = self.answer(call)
        return answer if isinstance(answer, Response) else await answer

    def wait_for(self, calls: int, timeout: float = 20) -> list[Call]:
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.calls) >= calls, timeout)
        assert arrived, f"{len(self.calls)} of {calls} webhooks arrived"
        return self.calls


def content(_: Call) -> Response:
    """Accept the webhook in every gateway's format."""
    return JSONResponse({"RspCode": "00", "Message": "Confirm Success", "code": "00"})


def settings(merchant: Merchant, data_dir: Path, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "public_url": merchant.url,
            "data_dir": data_dir,
            "sandbox": {"time_scale": TIME_SCALE, "contracts": 10_000},
        }
        | more
    )


class System:
    """A client of one internal system of the sandbox."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self.client = client
        self.name = name

    def get(self, path: str) -> httpx.Response:
        return self.client.get(f"/{self.name}{path}", headers={"X-Api-Key": KEYS[self.name]})

    def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        headers = {"X-Api-Key": KEYS[self.name]}
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.client.post(f"/{self.name}{path}", json=body, headers=headers)
