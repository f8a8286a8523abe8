"""A middleware around one system that logs each request and injects its fault."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any, Protocol
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox import clock
from sandbox.faults import Fault, Faults
from sandbox.log import Entry, Log

# Sent in part where the system itself has not answered.
SAMPLE_BODY = {"message": "only a part of this answer is sent"}


class System(Protocol):
    name: str

    def app(self) -> ASGIApp: ...

    async def refusal(self, request: Request) -> Response:
        """Return the answer with which this system refuses a request."""
        ...


class FaultInjector:
    def __init__(self, system: System, faults: Faults, log: Log) -> None:
        self.system = system
        self.app = system.app()
        self.faults = faults
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        path = request.url.path.removeprefix(f"/{self.system.name}")
        entry = self.log.begin(
            at=clock.now(),
            system=self.system.name,
            method=request.method,
            path=path,
            operation=_operation(request, body),
            idempotency_key=request.headers.get("idempotency-key"),
        )
        fault = self.faults.take(self.system.name, f"{path}?{request.url.query}")
        exchange = _Exchange(scope, receive, send, body, entry)
        if fault is None:
            await self.app(scope, exchange.replay_body(), exchange.log_and_send)
            return
        entry.fault = fault.fault
        await self._inject(fault, exchange)

    async def _inject(self, fault: Fault, exchange: _Exchange) -> None:
        if fault.fault == "slow" and not fault.after_processing:
            await asyncio.sleep(fault.seconds)
        processed = fault.after_processing or fault.fault == "slow"
        answer = await exchange.capture(self.app) if processed else []
        match fault.fault:
            case "slow":
                if fault.after_processing:
                    await asyncio.sleep(fault.seconds)
                for message in answer:
                    await exchange.log_and_send(message)
            case "timeout":
                if await exchange.wait_for_disconnect(fault.seconds):
                    return
                await exchange.answer(JSONResponse({"message": "gateway timeout"}, 504))
            case "reset":
                await exchange.close_connection(at_once=True)
            case "truncated":
                await exchange.send_half(answer)
            case "refuse":
                refusal = await self.system.refusal(Request(exchange.scope, exchange.replay_body()))
                await exchange.answer(refusal)
            case _:
                await exchange.answer(JSONResponse({"message": "internal server error"}, 500))


class _Exchange:
    """One request whose body has been read and whose answer can be held back."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, entry: Entry
    ) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._body = body
        self._entry = entry

    def replay_body(self) -> Receive:
        unread = True

        async def receive() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": self._body, "more_body": False}
            return await self._receive()

        return receive

    async def log_and_send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._entry.status = message["status"]
        await self._send(message)

    async def answer(self, response: Response) -> None:
        await response(self.scope, self.replay_body(), self.log_and_send)

    async def capture(self, app: ASGIApp) -> list[Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await app(self.scope, self.replay_body(), keep)
        return messages

    async def wait_for_disconnect(self, seconds: float) -> bool:
        """Return whether the client disconnects within so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True

    async def send_half(self, answer: list[Message]) -> None:
        """Send the full headers, with the whole length, and then only half of the body."""
        if not answer:
            sample = JSONResponse(SAMPLE_BODY)
            answer = [
                {"type": "http.response.start", "status": 200, "headers": sample.raw_headers},
                {"type": "http.response.body", "body": sample.body},
            ]
        body = b"".join(message.get("body", b"") for message in answer)
        await self.log_and_send(answer[0])
        half = body[: max(1, len(body) // 2)]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await self.close_connection(at_once=False)

    async def close_connection(self, *, at_once: bool) -> None:
        """Close the TCP connection: at once with a reset, or after the written data is sent."""
        transport = _transport(self._receive)
        if transport is None:
            raise ConnectionResetError("the sandbox closed the connection")
        if at_once:
            peer = transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        await self.wait_for_disconnect(5)


def _transport(receive: Receive) -> Any:
    """Return uvicorn's transport, because ASGI itself cannot close a connection, or None."""
    return getattr(getattr(receive, "__self__", None), "transport", None)


def _operation(request: Request, body: bytes) -> str | None:
    """Return VNPay's command, because its operations share two addresses; None elsewhere."""
    command = parse_qs(request.url.query).get("vnp_Command", [None])[0]
    if command or b"vnp_Command" not in body:
        return command
    try:
        command = json.loads(body)["vnp_Command"]
    except (ValueError, TypeError, KeyError):
        return None
    return command if isinstance(command, str) else None
