"""The door of one system: every request is noted here, and here it meets its fault."""

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

STUMP = {"message": "this answer ends in the middle of a word, and was never completed"}


class System(Protocol):
    name: str

    def app(self) -> ASGIApp: ...

    async def refusal(self, request: Request) -> Response:
        """What this system answers when it will not do what it is asked."""
        ...


class Door:
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
        hall = _Hall(scope, receive, send, body, entry)
        if fault is None:
            await self.app(scope, hall.read_again(), hall.note_and_send)
            return
        entry.fault = fault.fault
        await self._strike(fault, hall)

    async def _strike(self, fault: Fault, hall: _Hall) -> None:
        if fault.fault == "slow" and not fault.after_processing:
            await asyncio.sleep(fault.seconds)
        processed = fault.after_processing or fault.fault == "slow"
        answer = await hall.capture(self.app) if processed else []
        match fault.fault:
            case "slow":
                if fault.after_processing:
                    await asyncio.sleep(fault.seconds)
                for message in answer:
                    await hall.note_and_send(message)
            case "timeout":
                if await hall.wait_for_leaving(fault.seconds):
                    return
                await hall.answer(JSONResponse({"message": "gateway timeout"}, 504))
            case "reset":
                await hall.hang_up(at_once=True)
            case "truncated":
                await hall.answer_half(answer)
            case "refuse":
                refusal = await self.system.refusal(Request(hall.scope, hall.read_again()))
                await hall.answer(refusal)
            case _:
                await hall.answer(JSONResponse({"message": "internal server error"}, 500))


class _Hall:
    """One request behind the door, whose body was read and whose answer may be held back."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, body: bytes, entry: Entry
    ) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._body = body
        self._entry = entry

    def read_again(self) -> Receive:
        unread = True

        async def receive() -> Message:
            nonlocal unread
            if unread:
                unread = False
                return {"type": "http.request", "body": self._body, "more_body": False}
            return await self._receive()

        return receive

    async def note_and_send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._entry.status = message["status"]
        await self._send(message)

    async def answer(self, response: Response) -> None:
        await response(self.scope, self.read_again(), self.note_and_send)

    async def capture(self, app: ASGIApp) -> list[Message]:
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        await app(self.scope, self.read_again(), keep)
        return messages

    async def wait_for_leaving(self, seconds: float) -> bool:
        """Whether the client left before so many seconds had passed."""
        try:
            async with asyncio.timeout(seconds):
                while (await self._receive())["type"] != "http.disconnect":
                    pass
        except TimeoutError:
            return False
        return True

    async def answer_half(self, answer: list[Message]) -> None:
        """The right headers, the length included, and then only half of the body."""
        if not answer:
            stump = JSONResponse(STUMP)
            answer = [
                {"type": "http.response.start", "status": 200, "headers": stump.raw_headers},
                {"type": "http.response.body", "body": stump.body},
            ]
        body = b"".join(message.get("body", b"") for message in answer)
        await self.note_and_send(answer[0])
        half = body[: max(1, len(body) // 2)]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        await self.hang_up(at_once=False)

    async def hang_up(self, *, at_once: bool) -> None:
        """Ends the TCP connection: at once and with a reset, or after what was written is sent."""
        transport = _transport(self._receive)
        if transport is None:
            raise ConnectionResetError("the sandbox hung up")
        if at_once:
            peer = transport.get_extra_info("socket")
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
        await self.wait_for_leaving(5)


def _transport(receive: Receive) -> Any:
    """ASGI has no way to cut a connection, but uvicorn's `receive` belongs to one that has it."""
    return getattr(getattr(receive, "__self__", None), "transport", None)


def _operation(request: Request, body: bytes) -> str | None:
    """VNPay's command, since all of its operations share two addresses."""
    command = parse_qs(request.url.query).get("vnp_Command", [None])[0]
    if command or b"vnp_Command" not in body:
        return command
    try:
        command = json.loads(body)["vnp_Command"]
    except (ValueError, TypeError, KeyError):
        return None
    return command if isinstance(command, str) else None
